"""What Lotline adds to schemathesis: tokens, and checks of what a schema can't say."""

import http.client
import json
import os
import re
import uuid
import zlib
from collections import Counter
from urllib.parse import quote, urlsplit

import schemathesis
from schemathesis.core.failures import Failure
from schemathesis.core.transport import Response
from schemathesis.engine.run.stateful import _executor as stateful

API = os.environ["LOTLINE_URL"]
# Passwords by role, of AUTH_MODE=required alone: [{"role", "email", "password"}].
ACCOUNTS = {account["role"]: account for account in json.loads(os.environ["LOTLINE_ACCOUNTS"])}
# Ids and codes of rows that a request's field may name, by the field.
REFERENCES = json.loads(os.environ["LOTLINE_REFERENCES"])
# How often a probe is repeated for an operation (and role, where it is about roles): what it looks for
# is a property of the operation, and each costs a request.
PROBES = 10


# Hypothesis repeats what it has drawn with another end, and gives up when it meets another answer on
# the way, as it does in a service that stores things. Schemathesis takes that for the phase's end,
# without a word and after a dozen sequences, where it starts anew with another seed after its other
# ways of giving up. What requirements.txt pins is known to have this function; a version that hasn't
# ends the run here.
give_up = stateful._classify_flaky


def go_on(*, ctx, engine, state):
    status, is_repeated, events = give_up(ctx=ctx, engine=engine, state=state)
    wanted = engine.config.generation_for(phase="stateful").max_examples
    is_ended = engine.has_reached_the_failure_limit or any(events)
    return status, is_repeated or not is_ended and ctx.completed_scenarios < wanted, events


stateful._classify_flaky = go_on


@schemathesis.hook
def map_body(context, body):
    """Lets most references lead somewhere: an id drawn at random is no row's, and the write a 409."""
    if not isinstance(body, dict):
        return body
    return {name: known(name, value) for name, value in body.items()}


UUID_INPUT = re.compile(json.loads(os.environ["LOTLINE_PATTERNS"])["UuidInput"])


def known(name: str, value: object) -> object:
    ids = REFERENCES.get(name)
    is_id = ids and isinstance(value, str) and UUID_INPUT.fullmatch(value)
    number = uuid.UUID(value).int if is_id else None
    # Every eighth stays as it is, for the 409.
    return value if number is None or number % 8 == 0 else ids[number % len(ids)]


# What a write before has had, or the rows that were there from the start.
used: set[str] = set(json.loads(os.environ["LOTLINE_TAKEN"]))
# The codes of lots that this run has stored, or tried to.
created: set = set()


@schemathesis.hook
def before_call(context, case, kwargs):
    """
    Idempotency keys are new ones: used for another request, a key is 409, and the request would test
    nothing else. What is made up is drawn again and again, so what becomes of it must not depend on how often: see
    `go_on`.
    """
    if not case.meta.generation.mode.is_positive:
        return
    for name in list(case.headers or {}):
        if name.lower() == "idempotency-key":
            case.headers[name] = str(uuid.uuid4())
    if case.operation.path in ("/api/lots", "/api/qc-decisions"):
        if isinstance(case.body, dict):
            case.body = as_new(case.body)
    elif case.operation.path == "/api/traces":
        if isinstance(case.body, dict):
            case.body = as_traced(case.body)
    elif case.operation.path == "/api/traceability/{lotCode}":
        stored = as_stored(case.path_parameters, "lotCode")
        if stored is not case.path_parameters:
            # What schemathesis has drawn for a path is escaped already; a code may have a slash.
            case.path_parameters = {**stored, "lotCode": quote(stored["lotCode"], safe="")}


def as_new(body: dict) -> dict:
    """
    A write with a code and an id that nothing has: the coverage phase takes one example for all its
    cases, and schemathesis likes to send what it has seen in answers. Some stay, for the 409.
    """
    mapped = dict(body)
    for name in ("id", "lot_code"):
        value = body.get(name)
        if not isinstance(value, str):
            continue
        if value in used and len(value) < 600 and chance_of(value) % 8 != 0:
            mapped[name] = str(uuid.uuid4()) if name == "id" else f"{value}-{uuid.uuid4()}"
        used.add(mapped[name])
    created.add(mapped.get("lot_code"))
    return mapped


def as_traced(body: dict) -> dict:
    """A third of what isn't about a lot of this run is a trace that takes a job, and so is a 202."""
    if body.get("lot_code") not in created and chance_of(json.dumps(body)) % 3 == 0:
        return {"lot_code": REFERENCES["large_lot_code"][0], "direction": "downstream"}
    return as_stored(body, "lot_code")


def as_stored(named: dict, name: str) -> dict:
    """
    The code of a lot that is there: one drawn at random is no lot's. What is odd stays, for its
    oddness, and some others do, for the 404.
    """
    value = named.get(name)
    if not isinstance(value, str) or value in used or chance_of(value) % 8 == 0:
        return named
    if not (value.isascii() and value.isprintable()):
        return named
    codes = REFERENCES["lot_code"]
    return {**named, name: codes[chance_of(value) % len(codes)]}


def chance_of(value: str) -> int:
    """A number that is the same for the same text, whenever it is drawn."""
    return zlib.crc32(value.encode("utf-8", "surrogatepass"))


class Broken(Failure):
    """A promise of the contract's prose that wasn't kept."""

    def __init__(self, *, operation: str, title: str, message: str) -> None:
        super().__init__(operation=operation, title=title, message=message)

    @property
    def _unique_key(self) -> str:
        return self.title


def ask(method: str, path: str, body: bytes | None = None, **headers: str):
    """Status, headers and body. The path goes as it is written: other clients tidy it up."""
    address = urlsplit(API)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def log_in(role: str) -> str:
    """A new token of this role's account."""
    account = {key: ACCOUNTS[role][key] for key in ("email", "password")}
    status, _, body = ask(
        "POST", "/api/login", json.dumps(account).encode(), Content_Type="application/json"
    )
    if status != 200:
        raise RuntimeError(f"{role} can't log in: {status} {body!r}")
    return json.loads(body)["token"]


TOKENS: dict[str, str] = {}


def token_of(role: str) -> str:
    if role not in TOKENS:
        TOKENS[role] = log_in(role)
    return TOKENS[role]


def is_logout(case: schemathesis.Case) -> bool:
    return case.operation.path == "/api/logout"


if ACCOUNTS:
    # Nothing is kept between cases but by `token_of`: a logout needs a token of its own, or it would
    # end that of everything after it.
    @schemathesis.auth(refresh_interval=None)
    class Bearer:
        def get(self, case, context):
            return log_in("ADMIN") if is_logout(case) else token_of("ADMIN")

        def set(self, case, data, context):
            case.headers["Authorization"] = f"Bearer {data}"


asked: Counter = Counter()


def is_to_be_probed(*of: str) -> bool:
    asked[of] += 1
    return asked[of] <= PROBES


@schemathesis.check
def created_lot_is_traced(ctx, response: Response, case) -> None:
    """A lot that was stored a moment ago is found by its code, as it was answered."""
    if response.status_code != 201 or case.operation.path != "/api/lots":
        return
    lot = response.json()
    # A path of dots alone can't be sent, whichever way it is escaped: it is another path (RFC 3986,
    # section 5.2.4, and the WHATWG's URL, which takes %2e for a dot).
    if lot["lot_code"] in (".", ".."):
        return
    headers = {} if not ACCOUNTS else {"Authorization": f"Bearer {token_of('ADMIN')}"}
    status, _, body = ask("GET", f"/api/traceability/{quote(lot['lot_code'], safe='')}", **headers)
    if status != 200 or json.loads(body)["central"] != lot:
        raise Broken(
            operation=case.operation.label,
            title="A lot just created isn't found by its trace",
            message=f"Created {lot!r}, its trace is {status} {body[:1000]!r}",
        )


bodies_by_etag: dict[tuple[str, str], bytes] = {}


@schemathesis.check
def etag_is_of_this_body(ctx, response: Response, case) -> None:
    """One ETag is one body; and who has it gets 304, or a body with another one."""
    etags = response.headers.get("etag")
    if response.status_code != 200 or response.request.method != "GET" or not etags:
        return
    url, etag = urlsplit(response.request.url), etags[0]
    path = url.path + (f"?{url.query}" if url.query else "")
    kind = response.request.headers.get("Accept", "")
    if bodies_by_etag.setdefault((path + kind, etag), response.content) != response.content:
        raise Broken(
            operation=case.operation.label,
            title="An ETag stayed when the body changed",
            message=f"{path} has {etag} for two bodies",
        )
    if not is_to_be_probed("etag", case.operation.label):
        return
    headers = {} if not ACCOUNTS else {"Authorization": f"Bearer {token_of('ADMIN')}"}
    status, answered, _ = ask("GET", path, If_None_Match=etag, Accept=kind or "*/*", **headers)
    if status != 304 and answered["etag"] == etag:
        raise Broken(
            operation=case.operation.label,
            title="If-None-Match isn't heeded",
            message=f"{path} with If-None-Match: {etag} is {status} with the same ETag",
        )


def roles_of(operation) -> set[str] | None:
    """The roles that the document lets in; nothing where it names none."""
    return set(operation.definition.raw.get("x-roles", [])) or None


@schemathesis.check
def roles_are_obeyed(ctx, response: Response, case) -> None:
    """What one role was given, the others get exactly where the document names them."""
    allowed = roles_of(case.operation)
    if not ACCOUNTS or not allowed or not 200 <= response.status_code < 300:
        return
    request = response.request
    if request.method != case.operation.method.upper():
        return
    url = urlsplit(request.url)
    body = request.body.encode() if isinstance(request.body, str) else request.body
    # Whose name a write may bear is another rule, with tests of its own.
    if b"operator_id" in (body or b""):
        return
    for role in ACCOUNTS:
        if not is_to_be_probed("role", case.operation.label, role):
            continue
        headers = {"Authorization": f"Bearer {token_of(role)}"}
        if body:
            headers["Content_Type"] = request.headers.get("Content-Type", "application/json")
        status, _, answered = ask(
            request.method, url.path + (f"?{url.query}" if url.query else ""), body, **headers
        )
        if (status == 403) != (role not in allowed) or status == 401:
            raise Broken(
                operation=case.operation.label,
                title="The document's roles aren't the service's",
                message=f"{role} got {status} {answered[:500]!r}; the document names {sorted(allowed)}",
            )


@schemathesis.check
def logout_ends_the_token(ctx, response: Response, case) -> None:
    """A token that has logged out opens nothing any more."""
    request = response.request
    token = request.headers.get("Authorization")
    if not ACCOUNTS or not is_logout(case) or request.method != "POST" or not token:
        return
    if response.status_code != 204:
        return
    status, _, body = ask("GET", "/api/audits", Authorization=token)
    if status != 401:
        raise Broken(
            operation=case.operation.label,
            title="A token outlives its logout",
            message=f"After 204 it got {status} {body[:500]!r}",
        )
