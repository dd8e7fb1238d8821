"""What commands read: the text, and `--config` with the options that stand for config keys."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from ..api.catalogue import DEFAULT_MODEL
from ..api.client import llm
from ..api.config import parse_load_config, parse_prediction_config
from ..api.config_keys import LOAD_KEYS
from ..api.llm import LLM
from ..api.structs import camel
from ..errors import LMStudioValueError
from .progress import loading

LOAD_NAMES = {key.name for key in LOAD_KEYS} - {"seed"}
# Options that stand for a key of the prediction config.
OPTIONS = {"temperature": "temperature", "max_tokens": "maxTokens", "seed": "seed"}


def read_text(args: argparse.Namespace, *, exact: bool = False) -> str:
    """TEXT, or standard input as UTF-8, without the line end it closes with unless `exact`."""
    if args.text is not None and args.text != "-":
        return str(args.text)
    if sys.stdin.isatty():
        print("reading the text from the terminal, end it with Ctrl-D", file=sys.stderr)
    text = sys.stdin.buffer.read().decode("utf-8")
    return text if exact else text.removesuffix("\n").removesuffix("\r")


def read_configs(args: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """(prediction config, load config); what is wrong with them is a usage error."""
    prediction: dict[str, Any] = {}
    load: dict[str, Any] = {}
    for setting in args.config:
        key, equals, value = setting.partition("=")
        if not equals:
            args.usage_error(f"--config {setting!r}: expected KEY=VALUE")
        (load if camel(key) in LOAD_NAMES else prediction)[key] = _value(value)
    for option, key in OPTIONS.items():
        if getattr(args, option, None) is not None:
            prediction[key] = getattr(args, option)
    try:
        parse_prediction_config(prediction)
        parse_load_config(load)
    except LMStudioValueError as error:
        args.usage_error(str(error))
    return prediction, load


def load_model(args: argparse.Namespace, config: dict[str, Any]) -> LLM:
    """The model of `-m`, else the default one."""
    key = args.model or DEFAULT_MODEL
    with loading(key):
        return llm(key, config=config or None)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
