"""Sagas over HTTP: started once per key, listed, shown, acted on; every refusal is a problem document."""

from __future__ import annotations

from typing import cast
from uuid import uuid4

import httpx
import pytest
from structlog.testing import capture_logs

from saga_engine.bootstrap.desk import Desk
from tests.integration.api.conftest import started


def problem(response: httpx.Response, status: int, code: str) -> dict[str, object]:
    """The problem document, which the answer must be."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    document: dict[str, object] = response.json()
    assert (response.status_code, document["status"]) == (status, status)
    assert document["type"] == f"urn:saga-engine:problem:{code}"
    return document


def places(document: dict[str, object]) -> list[str]:
    """Where its mistakes are."""
    return [one["at"] for one in cast(list[dict[str, str]], document["errors"])]


async def test_the_same_key_and_input_start_one_saga(http: httpx.AsyncClient) -> None:
    wanted = {"saga": "trip", "input": {"trip": "t-1"}}
    first, again = await http.post("/api/sagas", json=wanted), await http.post("/api/sagas", json=wanted)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert first.headers["location"] == f"/api/sagas/{first.json()['id']}"
    assert len((await http.get("/api/sagas")).json()["sagas"]) == 1


async def test_a_key_with_another_input_is_a_conflict_that_names_the_saga(http: httpx.AsyncClient) -> None:
    saga_id = await started(http, "t-1")
    response = await http.post("/api/sagas", json={"saga": "trip", "input": {"trip": "t-2"}, "key": "t-1"})
    assert problem(response, 409, "conflict")["id"] == saga_id


async def test_what_does_not_fit_is_told_with_its_place(http: httpx.AsyncClient) -> None:
    response = await http.post("/api/sagas", json={"saga": "trip", "input": {"trip": 7}})
    assert places(problem(response, 422, "input")) == ["$.trip"]
    response = await http.post("/api/sagas", json={"saga": "trip", "inptu": {}, "version": 0})
    assert places(problem(response, 422, "invalid")) == ["version", "inptu"]


async def test_an_unknown_definition_or_saga_is_not_found(http: httpx.AsyncClient) -> None:
    problem(await http.post("/api/sagas", json={"saga": "voyage"}), 404, "not_found")
    for path in (f"/api/sagas/{uuid4()}", "/api/sagas/no-id", "/api/nothing"):
        problem(await http.get(path), 404, "not_found")


async def test_what_no_operation_answers_to_is_told_with_where_they_are_listed(http: httpx.AsyncClient) -> None:
    missed = problem(await http.get("/api/nothing"), 404, "not_found")
    assert missed["detail"] == "nothing is served at /api/nothing; /api/openapi.json lists what is"
    refused = problem(await http.put("/api/sagas"), 405, "method_not_allowed")
    assert refused["detail"] == "/api/sagas takes no PUT, only GET, HEAD, POST; see /api/openapi.json"


async def test_a_list_is_paged_and_filtered(http: httpx.AsyncClient) -> None:
    ids = [await started(http, f"t-{number}") for number in range(3)]
    await http.post(f"/api/sagas/{ids[0]}/suspend", json={"why": "a look"})
    first = (await http.get("/api/sagas", params={"limit": 2})).json()
    rest = (await http.get("/api/sagas", params={"limit": 2, "before": first["next"]})).json()
    assert [row["id"] for row in first["sagas"] + rest["sagas"]] == ids[::-1]
    assert rest["next"] is None
    suspended = (await http.get("/api/sagas", params={"status": ["suspended", "blocked"]})).json()
    assert [row["id"] for row in suspended["sagas"]] == [ids[0]]
    keyed = (await http.get("/api/sagas", params={"key": "t-2"})).json()
    assert [row["id"] for row in keyed["sagas"]] == [ids[2]]
    assert (await http.get("/api/sagas", params={"older_than": "1h"})).json()["sagas"] == []
    problem(await http.get("/api/sagas", params={"limit": ["1", "2"]}), 422, "invalid")


async def test_a_saga_shows_what_it_waits_for_and_its_history(http: httpx.AsyncClient) -> None:
    saga_id = await started(http, "t-1")
    shown = (await http.get(f"/api/sagas/{saga_id}")).json()
    assert (shown["status"], shown["waits_for"][0]["event"]) == ("running", "Confirmed")
    assert "cancel" in shown["verbs"]
    events = (await http.get(f"/api/sagas/{saga_id}/history")).json()["events"]
    assert events[0]["type"] == "SagaStarted"
    behind = (await http.get(f"/api/sagas/{saga_id}/history", params={"after": 1})).json()["events"]
    assert behind == events[1:]


async def test_a_dry_run_says_what_would_be_committed_and_commits_nothing(http: httpx.AsyncClient) -> None:
    saga_id = await started(http, "t-1")
    before = (await http.get(f"/api/sagas/{saga_id}/history")).json()
    response = await http.post(f"/api/sagas/{saga_id}/cancel", json={"why": "a look", "dry_run": True})
    said = response.json()
    assert (said["dry_run"], said["result"], said["status"]) == (True, "done", "compensated")
    assert "CancelRequested" in said["events"]
    assert (await http.get(f"/api/sagas/{saga_id}/history")).json() == before


async def test_a_verb_is_done_once_and_says_who_and_why(http: httpx.AsyncClient) -> None:
    saga_id = await started(http, "t-1")
    asked = {"why": "the guest has left", "who": "ann"}
    done = (await http.post(f"/api/sagas/{saga_id}/cancel", json=asked)).json()
    assert (done["result"], done["status"]) == ("done", "compensated")
    events = (await http.get(f"/api/sagas/{saga_id}/history")).json()["events"]
    cancel = next(one for one in events if one["type"] == "CancelRequested")["data"]
    assert (cancel["who"], cancel["why"]) == ("ann by the API", "the guest has left")
    refused = problem(await http.post(f"/api/sagas/{saga_id}/cancel", json=asked), 409, "refused")
    assert refused["saga_status"] == "compensated"


@pytest.mark.parametrize("verb", ["retry", "skip", "resolve", "resume"])
async def test_a_verb_that_the_status_does_not_allow_is_refused_with_those_it_allows(
    http: httpx.AsyncClient, verb: str
) -> None:
    saga_id = await started(http, "t-1")
    response = await http.post(f"/api/sagas/{saga_id}/{verb}", json={"why": "a try"})
    assert "possible: " in str(problem(response, 409, "refused")["detail"])


async def test_a_signal_is_taken_once_per_id_and_ends_the_wait(http: httpx.AsyncClient) -> None:
    saga_id = await started(http, "t-1")
    strange = await http.post(f"/api/sagas/{saga_id}/signal", json={"event": "Confirmt"})
    assert "Confirmed" in str(problem(strange, 409, "refused")["detail"])
    news = {"event": "Confirmed", "id": "n-1", "data": {"by": "ann"}}
    taken = (await http.post(f"/api/sagas/{saga_id}/signal", json=news)).json()
    assert (taken["result"], taken["status"], taken["signal_id"]) == ("done", "completed", "n-1")


async def test_the_callers_trace_is_stored_with_the_saga(http: httpx.AsyncClient) -> None:
    trace = f"00-{'ab' * 16}-{'cd' * 8}-01"
    wanted = {"saga": "trip", "input": {"trip": "t-1"}}
    saga_id = (await http.post("/api/sagas", json=wanted, headers={"traceparent": trace})).json()["id"]
    events = (await http.get(f"/api/sagas/{saga_id}/history")).json()["events"]
    assert events[0]["data"]["traceparent"] == trace


async def test_a_store_that_is_away_is_said_to_be_and_asked_again_later(http: httpx.AsyncClient, desk: Desk) -> None:
    desk.store.close()
    response = await http.get("/api/sagas")
    problem(response, 503, "unavailable")
    assert response.headers["retry-after"] == "1"


async def test_a_defect_of_ours_tells_the_caller_nothing_of_itself(
    http: httpx.AsyncClient, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_question: object) -> None:
        raise RuntimeError("a secret of the house")

    monkeypatch.setattr(desk, "ask", broken)
    with capture_logs() as logs:
        said = problem(await http.get("/api/sagas"), 500, "defect")
    assert "secret" not in str(said)
    assert "secret" in str(next(line["exc_info"] for line in logs if line["event"] == "a request failed"))
