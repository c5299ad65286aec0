import { deepStrictEqual, ok } from "node:assert/strict";
import { parse } from "yaml";
import { RESPONSE_HEADERS } from "./response_headers.ts";

interface Documented {
  readonly headers?: Readonly<Record<string, unknown>>;
}

Deno.test("every response of the contract has X-Request-Id, and the list has each header", async () => {
  const contract = parse(await Deno.readTextFile(new URL("../openapi.yaml", import.meta.url)));
  const operations = Object.values<Record<string, { responses: Record<string, object> }>>(
    contract.paths,
  ).flatMap((item) => Object.values(item));
  const responses: Documented[] = [
    ...operations.flatMap(({ responses }) => Object.values(responses))
      .filter((response) => !("$ref" in response)),
    ...Object.values<Documented>(contract.components.responses),
  ];
  ok(responses.length > 30);
  const without = responses.filter(({ headers = {} }) => !("X-Request-Id" in headers));
  deepStrictEqual(without, []);
  const named = new Set(responses.flatMap(({ headers = {} }) => Object.keys(headers)));
  deepStrictEqual([...named].sort(), [...RESPONSE_HEADERS].sort());
});
