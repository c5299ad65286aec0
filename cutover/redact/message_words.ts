import { OPERATIONS } from "../exchange/operations.ts";
import { isIdentifier } from "./closed_form.ts";
import { FIELD_NAMES } from "./contract_fields.ts";
import { isPseudonym, type PseudonymKind } from "./pseudonym_form.ts";
import type { Pseudonyms } from "./pseudonyms.ts";

/** Messages of the two servers and of the comparer, without the values that stand in them. */
const MESSAGES = `
A token is needed: log in
A value is not one that can be stored
Lot code is taken
Lot id is taken
Lot not found
QC decision id is taken
Something went wrong on our side
The Host header is not a host
The body ended too early
The body is larger than bytes
The body is nested deeper than
The body is not valid JSON in UTF-8
The body must be a JSON object
The body must be sent as application/json
The body took too long to arrive
The charset must be utf-8
The content encoding must be gzip or deflate
The database is away or too slow, try again shortly
The first request with this Idempotency-Key is still being worked on, try again shortly
The lot has more than links, or its trace more than bytes: take it in pages with POST /api/traces
The path holds a broken percent escape
The token is not valid, or not any more: log in again
There is nothing at this path
There is no such audit
There is no such trace
This Idempotency-Key was used for another request: take a new one
This can't be run without an effect
This is no valid request for a dry run
This path answers OPTIONS, POST
Tokens can't be checked right now, try again shortly
Too busy, try again soon
Too many failed logins, try again later
Too many logins at once, try again in a moment
Too many of your tokens have ended, try again later
User not found
Wrong email or password
Your role may not do this
lot_code is missing
must be one of RAW DEB BULK MIX SKW FRZ FG PASS HOLD FAIL
must be of type string number boolean object array
must be text of to characters if all are ASCII without NUL
must be a UUID, such as a finite number, or a plain decimal as text
must be an RFC time, or a date with or without a time of day
must be in the years to of UTC
must not hold NUL
must not hold half of a surrogate pair
must name at least one field
is not a field of this request
is text that is not a JSON document
names no operator phase production run QC gate lot user that exists
operator_id must be your own account's id

null value in column "" of relation "lots" violates not-null constraint
new row for relation "lots" violates check constraint "lots_lot_type_check"
new row for relation "qc_decisions" violates check constraint "qc_decisions_decision_check"
duplicate key value violates unique constraint "lots_lot_code_key" "lots_pkey" "qc_decisions_pkey"
insert or update on table "lots" violates foreign key constraint "lots_production_run_id_fkey"
"lots_phase_id_fkey" "lots_operator_id_fkey" "qc_decisions_lot_id_fkey" "qc_decisions_qc_gate_id_fkey"
"qc_decisions_operator_id_fkey"
column "" of relation "users" does not exist
column "" specified more than once
syntax error at or near "VALUES" at end of input
invalid byte sequence for encoding "UTF8": 0x00
invalid input syntax for type uuid numeric json timestamp with time zone text
date/time field value out of range
numeric field overflow
time zone "" not recognized
index row size exceeds btree version maximum for index
unterminated quoted identifier string
there is no parameter
canceling statement due to statement timeout lock timeout user request
Connection terminated unexpectedly
connect ECONNREFUSED ETIMEDOUT read ECONNRESET write EPIPE
timeout exceeded when trying to connect
sorry, too many clients already
the database system is starting up shutting down in recovery mode

<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Error</title>
</head>
<body>
<pre>SyntaxError: PayloadTooLargeError: URIError: TypeError: BadRequestError:
UnsupportedMediaTypeError: … Cannot GET HEAD POST PUT PATCH DELETE OPTIONS
Unexpected token in JSON at position Unexpected end of JSON input
request entity too large, Failed to decode param unsupported charset unsupported content encoding
incorrect header check unexpected end of file
<br> &nbsp; &nbsp;at</pre>

no error text tells of the inside an error with content-type (none) without Allow
a success with content-type a success without weak ETag bytes may not change
x-lotline-dry-run done no UUID a UUID that was there before, not a new one one UUID for two things
no time in UTC with milliseconds a time, but not the time of the request stood earlier in this scenario
bytes that are no text aren't were too many to be kept as can't be read as become too many without

application/json text/html text/plain application/x-www-form-urlencoded multipart/form-data
charset boundary utf-8 UTF-8 utf8 gzip deflate br zstd identity chunked Bearer realm lotline invalid_token
error_description Origin Accept Accept-Encoding Access-Control-Request-Headers
Access-Control-Request-Method content-type authorization Content-Type Authorization accept origin
vary x-request-id X-Request-Id Idempotency-Key idempotency-key If-None-Match if-none-match ETag
Retry-After Location WWW-Authenticate no-store no-cache private public must-revalidate max-age
true false W http https 100-continue q
`;

// All but these signs belongs to a word, letters of every script among it.
const WORD = /[^ \t\r\n"'<>()[\]{},;:=&/\\|!?*`…]+/g;

const PATHS = OPERATIONS.map(({ path }) => path).join();

const WORDS: ReadonlySet<string> = new Set(
  [...`${MESSAGES}${PATHS}`.match(WORD) ?? [], ...FIELD_NAMES]
    // A number may be a part of a telephone number.
    .filter((word) => !/^\d+$/.test(word)),
);

/**
 * A text of which only known words, ids and lot codes stay. What stands between two of them becomes one
 * pseudonym.
 */
export function knownWords(text: string, kind: PseudonymKind, pseudonym: Pseudonyms): string {
  let shown = "";
  let done = 0;
  // Where unknown words begin and end.
  let unknown: { readonly from: number; to: number } | undefined;
  const replaceUnknown = () => {
    if (unknown === undefined) return;
    shown += text.slice(done, unknown.from) + pseudonym(kind, text.slice(unknown.from, unknown.to));
    done = unknown.to;
    unknown = undefined;
  };
  for (const { 0: word, index } of text.matchAll(WORD)) {
    if (WORDS.has(word) || isIdentifier(word) || isPseudonym(word)) replaceUnknown();
    else if (unknown === undefined) unknown = { from: index, to: index + word.length };
    else unknown.to = index + word.length;
  }
  replaceUnknown();
  return shown + text.slice(done);
}
