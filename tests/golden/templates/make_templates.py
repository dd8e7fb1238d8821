"""Remake the template goldens with plain jinja2, set up as transformers sets it up for templates.

    python make_templates.py        (reads *.jinja and conversations.json, writes rendered.json)

The templates are those of the models' makers, all under MIT or Apache-2.0: Phi-3.5-mini-instruct,
Qwen2.5-7B-Instruct, Mistral-Nemo-Instruct-2407, granite-3.3-2b-instruct, GLM-4.6 and
DeepSeek-R1-Distill-Qwen-32B.
"""

import json
from datetime import datetime
from pathlib import Path

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

HERE = Path(__file__).parent


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def raise_exception(message):
    raise TemplateError(message)


environment = ImmutableSandboxedEnvironment(
    trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
)
environment.filters["tojson"] = tojson
environment.globals["raise_exception"] = raise_exception
# A fixed day, which the tests set too.
environment.globals["strftime_now"] = lambda format: datetime(2024, 7, 1).strftime(format)

rendered = {}
conversations = json.loads((HERE / "conversations.json").read_text())
for path in sorted(HERE.glob("*.jinja")):
    template = environment.from_string(path.read_text())
    for name, given in conversations.items():
        try:
            text = template.render(
                **given, add_generation_prompt=True, bos_token="<bos>", eos_token="<eos>"
            )
        except TemplateError as error:
            text = {"refused": str(error)}
        rendered[f"{path.stem}/{name}"] = text
(HERE / "rendered.json").write_text(json.dumps(rendered, indent=1) + "\n")
