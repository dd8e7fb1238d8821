"""Registry and the functions callers start from: what is loaded, reused, named, unloaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gnomon.engine.api.client import (
    Client,
    configure_default_client,
    get_default_client,
    get_sync_api_timeout,
    list_downloaded_models,
    list_loaded_models,
    llm,
    prepare_image,
    set_sync_api_timeout,
)
from gnomon.engine.api.registry import REGISTRY, open_model
from gnomon.engine.errors import (
    LMStudioClientError,
    LMStudioModelNotFoundError,
    LMStudioServerError,
    LMStudioValueError,
    ModelLoadError,
)
from gnomon.engine.load_config import LoadConfig

ROOT = Path(__file__).parents[3]
KEY = "acme/toy-model"


@pytest.mark.usefixtures("toy_folder")
class TestLoading:
    """With one toy model in the models folder."""

    def test_a_key_loads_a_model_under_that_identifier(self) -> None:
        assert llm(KEY).identifier == KEY

    def test_the_same_key_gives_the_same_model(self) -> None:
        assert llm(KEY) == llm(KEY)

    def test_another_name_of_the_file_gives_the_same_model(self) -> None:
        assert llm(KEY) == llm("toy-model")

    def test_another_config_loads_another_model(self) -> None:
        exact = llm(KEY, config={"compute": "float64"})
        fast = llm(KEY, config={"compute": "int8", "contextLength": 64})
        assert exact != fast
        assert [exact.identifier, fast.identifier] == [KEY, f"{KEY}:2"]

    def test_the_same_config_gives_the_same_model(self) -> None:
        assert llm(KEY, config={"compute": "float64"}) == llm(KEY, config={"compute": "float64"})

    def test_no_config_takes_what_is_loaded(self) -> None:
        assert llm(KEY, config={"compute": "float64"}) == llm(KEY)

    def test_an_identifier_names_its_model(self) -> None:
        llm(KEY)
        other = Client().llm.load_new_instance(KEY, "mine")
        assert llm("mine") == other

    def test_no_key_takes_any_loaded_model(self) -> None:
        assert llm(KEY) == llm()

    def test_a_path_loads_its_file(self, toy_folder: Path) -> None:
        path = str(toy_folder / "acme" / "toy-model" / "toy.gguf")
        assert llm(path).get_info().path == "acme/toy-model/toy.gguf"

    def test_a_path_object_is_a_path(self, toy_folder: Path) -> None:
        path = toy_folder / "acme" / "toy-model" / "toy.gguf"
        assert llm(path).identifier == str(path)

    def test_a_key_that_is_no_text_is_refused(self) -> None:
        with pytest.raises(LMStudioValueError, match="model key: expected a str or a path"):
            llm(3)  # type: ignore[arg-type]

    def test_an_unknown_key_is_not_found(self) -> None:
        with pytest.raises(LMStudioModelNotFoundError, match="no model 'nothing'"):
            llm("nothing")

    def test_a_wrong_load_key_is_named(self) -> None:
        with pytest.raises(LMStudioValueError, match="unknown key 'contextLen'"):
            llm(KEY, config={"contextLen": 3})

    def test_new_instances_are_numbered(self) -> None:
        session = Client().llm
        made = [session.load_new_instance(KEY).identifier for _ in range(3)]
        assert made == [KEY, f"{KEY}:2", f"{KEY}:3"]

    def test_an_identifier_in_use_is_refused(self) -> None:
        session = Client().llm
        session.load_new_instance(KEY, "mine")
        with pytest.raises(LMStudioServerError, match="already exists"):
            session.load_new_instance(KEY, "mine")

    def test_load_progress_runs_from_0_to_1(self) -> None:
        shares: list[float] = []
        Client().llm.load_new_instance(KEY, on_load_progress=shares.append)
        assert (shares[0], shares[-1]) == (0.0, 1.0)

    def test_a_loaded_model_s_progress_is_at_its_end(self) -> None:
        seen: list[float] = []
        llm(KEY)
        Client().llm.model(KEY, on_load_progress=seen.append)
        assert seen == [1.0]

    def test_a_progress_callback_that_fails_does_not_end_the_load(self) -> None:
        def fail(share: float) -> None:
            raise RuntimeError("no")

        assert Client().llm.model(KEY, on_load_progress=fail).identifier == KEY

    def test_a_session_of_another_kind_does_not_know_the_identifier(self) -> None:
        llm(KEY)
        for ask in (Client().embedding.unload, Client().embedding.get_model_info):
            with pytest.raises(LMStudioModelNotFoundError, match="is not an embedding model"):
                ask(KEY)
        assert [model.identifier for model in list_loaded_models()] == [KEY]

    def test_loaded_models_are_listed_until_unloaded(self) -> None:
        model = llm(KEY)
        assert list_loaded_models() == [model]
        model.unload()
        assert list_loaded_models("llm") == []

    def test_a_session_unloads_by_identifier(self) -> None:
        llm(KEY)
        Client().llm.unload(KEY)
        with pytest.raises(LMStudioModelNotFoundError):
            Client().llm.unload(KEY)

    def test_a_model_loads_again_after_unload(self) -> None:
        llm(KEY).unload()
        assert llm(KEY).identifier == KEY

    def test_model_info_of_an_identifier(self) -> None:
        llm(KEY)
        assert Client().llm.get_model_info(KEY).display_name == "Toy"

    def test_downloaded_models_are_listed_by_key(self) -> None:
        assert [found.model_key for found in list_downloaded_models()] == [KEY]

    def test_a_downloaded_model_loads(self) -> None:
        (found,) = Client().list_downloaded_models("llm")
        assert found.model() == found.model()
        assert found.load_new_instance(instance_identifier="x").identifier == "x"

    def test_a_file_that_is_no_gguf_has_no_info(self) -> None:
        (found,) = list_downloaded_models()
        with pytest.raises(ModelLoadError, match=r"cannot read .*toy\.gguf"):
            _ = found.info

    def test_a_downloaded_model_shows_key_and_path(self) -> None:
        (found,) = list_downloaded_models()
        assert repr(found) == (
            "DownloadedLlm(model_key='acme/toy-model', path='acme/toy-model/toy.gguf')"
        )

    def test_there_are_no_embedding_models_yet(self) -> None:
        assert list_downloaded_models("embedding") == list_loaded_models("embedding") == []


def test_a_file_that_cannot_be_loaded_has_its_cause(tmp_path: Path) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF nonsense")
    with pytest.raises(ModelLoadError, match=r"broken\.gguf") as error:
        open_model(path, LoadConfig())
    assert error.value.__cause__ is not None


@pytest.mark.parametrize("ask", [list_downloaded_models, list_loaded_models])
def test_another_namespace_is_refused(ask: object) -> None:
    with pytest.raises(LMStudioValueError, match="namespace is 'vision'"):
        ask("vision")  # type: ignore[operator]


def test_a_host_is_accepted_and_not_used() -> None:
    configure_default_client("localhost:1234")
    with get_default_client("localhost:1234") as client:
        assert client.list_loaded_models() == list_loaded_models()


def test_images_are_refused() -> None:
    with pytest.raises(LMStudioClientError, match=r"cat\.png"):
        prepare_image(b"", "cat.png")


def test_the_timeout_is_kept_and_checked() -> None:
    before = get_sync_api_timeout()
    set_sync_api_timeout(None)
    assert get_sync_api_timeout() is None
    set_sync_api_timeout(before)
    with pytest.raises(LMStudioValueError, match="timeout is -1"):
        set_sync_api_timeout(-1)


def test_an_unknown_identifier_is_not_found() -> None:
    with pytest.raises(LMStudioModelNotFoundError, match="identifier 'nobody'"):
        REGISTRY.named("nobody")


def test_an_instruction_set_that_is_not_known_is_a_load_error(encoder_path: Any) -> None:
    path = encoder_path("bert")
    script = f"""
import gnomon
for turn in range(2):
    try:
        gnomon.embedding_model({str(path)!r})
    except gnomon.ModelLoadError as error:
        print(error)
"""
    run = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "GNOMON_ISA": "sse9"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.count("GNOMON_ISA: 'sse9', expected one of ") == 2


def test_a_bad_number_of_threads_is_a_load_error(
    encoder_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GNOMON_THREADS", "many")
    with pytest.raises(ModelLoadError, match="GNOMON_THREADS: 'many', expected a whole number"):
        open_model(encoder_path("bert"), LoadConfig())
