import { ok } from "node:assert/strict";
import { AddressError, parseAddress } from "./address.ts";

/** Numbers from 0 to below `end`, the same for each seed: https://en.wikipedia.org/wiki/Lehmer_random_number_generator */
function numbersFrom(seed: number) {
  let state = seed;
  return (end: number) => {
    state = state * 48_271 % 0x7fffffff;
    return state % end;
  };
}

const PIECES = [..."@/?#:,&=%[]+ \\\0\n", "%2", "%00", "%40", "://", "&&", "ä", "\ud800", "host="];
const PASSWORD = "hunter2";
const PLACES = [
  "postgres://u:hunter2@h/d",
  "postgresql://u:hunter2@h:5432",
  "postgres://u%40x:hunter2%25@h1:5433,h2,[::1]:5434/d%2Fe",
  "postgres://u:hunter2@%2Frun%2Fpostgresql:5433/d",
];
const QUERIES = [
  "host=/run/postgresql&port=5433",
  "host=h1,h2&hostaddr=10.0.0.1,::1&port=1,2",
  "user=u&password=hunter2&dbname=d",
  "sslmode=verify-full&sslrootcert=system&sslnegotiation=direct",
  "sslcert=/c&sslkey=/k&sslpassword=hunter2&sslcertmode=allow",
  "ssl_min_protocol_version=TLSv1.3&ssl_max_protocol_version=TLSv1.3",
  "options=-c%20geqo%3Doff%20--work_mem%3D5MB&application_name=plant",
  "connect_timeout=5&keepalives=1&keepalives_idle=30&target_session_attrs=any",
  "schema=public&pgbouncer=true&connection_limit=5&ssl=true",
  "statement_timeout=0",
];

Deno.test("20,000 mutated addresses are parsed or refused in a sentence without the password", () => {
  const below = numbersFrom(20_191_130);
  const seeds = [...PLACES, ...QUERIES.map((query) => `${PLACES[0]}?${query}`)];
  let parsed = 0;
  for (let n = 0; n < 20_000; n++) {
    let text = seeds[below(seeds.length)] ?? "";
    for (let changes = below(4); changes >= 0; changes--) {
      const at = below(text.length + 1);
      const piece = below(3) === 0 ? "" : PIECES[below(PIECES.length)] ?? "";
      text = text.slice(0, at) + piece.repeat(1 + below(2)) + text.slice(at + below(3));
    }
    try {
      const address = parseAddress(text);
      ok(address.hosts.length > 0 && address.user !== "" && address.database !== "", text);
      parsed++;
    } catch (error) {
      ok(error instanceof AddressError, `${JSON.stringify(text)}: ${error}`);
      // Without an @ behind it, it is none.
      const isPassword = text.lastIndexOf("@") > text.indexOf(PASSWORD);
      ok(!isPassword || !error.message.includes(PASSWORD), `${text}: ${error.message}`);
      ok(error.message.length < 250 && !error.message.includes("\n"), error.message);
    }
  }
  // Both happen.
  ok(parsed > 1_000 && parsed < 19_000, `${parsed}`);
});
