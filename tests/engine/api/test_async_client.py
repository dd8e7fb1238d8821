"""AsyncClient and its sessions: models are loaded, listed and unloaded beside the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

import gnomon
from gnomon.engine.api.async_client import AsyncClient
from gnomon.engine.api.async_models import AsyncLLM
from gnomon.engine.api.async_sessions import AsyncDownloadedLlm
from gnomon.engine.api.client import Client, list_downloaded_models, llm
from gnomon.engine.errors import (
    LMStudioModelNotFoundError,
    LMStudioServerError,
    LMStudioValueError,
    ModelLoadError,
)

KEY = "acme/toy-model"
T = TypeVar("T")

pytestmark = pytest.mark.usefixtures("toy_folder")


def asked(call: Callable[[AsyncClient], Awaitable[T]]) -> T:
    """What a call to a client gives."""

    async def ask() -> T:
        async with AsyncClient() as client:
            return await call(client)

    return asyncio.run(ask())


def test_a_key_loads_a_model() -> None:
    assert asked(lambda client: client.llm.model(KEY)) == AsyncLLM(llm(KEY))


def test_a_new_instance_has_a_name_of_its_own() -> None:
    llm(KEY)
    assert asked(lambda client: client.llm.load_new_instance(KEY, "mine")).identifier == "mine"


def test_an_identifier_in_use_is_refused() -> None:
    llm(KEY)
    with pytest.raises(LMStudioServerError, match="already exists"):
        asked(lambda client: client.llm.load_new_instance(KEY, KEY))


def test_loading_tells_its_progress_on_the_event_loop() -> None:
    shares: list[float] = []

    def note(share: float) -> None:
        asyncio.get_running_loop()
        shares.append(share)

    asked(lambda client: client.llm.model(KEY, on_load_progress=note))
    assert shares == [0.0, 1.0]


def test_an_error_in_the_progress_callback_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def broken(share: float) -> None:
        raise ValueError("broken callback")

    model = asked(lambda client: client.llm.model(KEY, on_load_progress=broken))
    assert (model.identifier, "broken callback" in caplog.text) == (KEY, True)


def test_two_tasks_that_want_a_model_load_it_once() -> None:
    async def both(client: AsyncClient) -> list[AsyncLLM]:
        return list(await asyncio.gather(client.llm.model(KEY), client.llm.model(KEY)))

    one, other = asked(both)
    assert one == other


def test_loaded_models_are_listed() -> None:
    loaded = AsyncLLM(llm(KEY))
    listed = [
        asked(lambda client: client.list_loaded_models()),
        asked(lambda client: client.llm.list_loaded()),
        asked(lambda client: client.embedding.list_loaded()),
    ]
    assert listed == [[loaded], [loaded], []]


def test_files_are_listed() -> None:
    expected = list(map(AsyncDownloadedLlm, Client().llm.list_downloaded()))
    listed = [
        asked(lambda client: client.list_downloaded_models()),
        asked(lambda client: client.llm.list_downloaded()),
        asked(lambda client: client.list_downloaded_models("embedding")),
    ]
    assert listed == [expected, expected, []]


def test_an_unknown_namespace_is_refused() -> None:
    with pytest.raises(LMStudioValueError, match="namespace is 'x'"):
        asked(lambda client: client.list_loaded_models("x"))


def test_a_downloaded_model_loads() -> None:
    async def load(client: AsyncClient) -> list[str]:
        found = (await client.llm.list_downloaded())[0]
        models = [await found.model(), await found.load_new_instance(instance_identifier="mine")]
        return [model.identifier for model in models]

    assert asked(load) == [KEY, "mine"]


def test_a_downloaded_model_knows_what_the_one_that_waits_knows() -> None:
    waits = list_downloaded_models()[0]
    found = asked(lambda client: client.llm.list_downloaded())[0]
    facts = (found.type, found.model_key, found.path, repr(found))
    assert facts == (waits.type, waits.model_key, waits.path, f"Async{waits!r}")


def test_a_downloaded_model_s_broken_file_is_an_error() -> None:
    found = asked(lambda client: client.llm.list_downloaded())[0]
    with pytest.raises(ModelLoadError, match="cannot read"):
        _ = found.info


def test_unloading_takes_it_off_the_list() -> None:
    llm(KEY)
    asked(lambda client: client.llm.unload(KEY))
    with pytest.raises(LMStudioModelNotFoundError):
        asked(lambda client: client.llm.get_model_info(KEY))


def test_facts_of_a_loaded_model() -> None:
    info = llm(KEY).get_info()
    assert asked(lambda client: client.llm.get_model_info(KEY)) == info


def test_a_client_works_outside_its_block(toy_folder: Path) -> None:
    async def ask() -> str:
        client = gnomon.AsyncClient("localhost:1234")
        model = await client.llm.model(KEY)
        await client.aclose()
        return (await model.respond("hi", config={"temperature": 0})).content

    assert asyncio.run(ask()) == "You said: hi"
