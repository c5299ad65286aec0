import { strictEqual, throws } from "node:assert/strict";
import { ListenError, listening } from "./listen_error.ts";

const ADDRESS = { hostname: "127.0.0.1", port: 8000, setting: "PORT" };

Deno.test("what is opened is returned", () => {
  strictEqual(listening(ADDRESS, () => "server"), "server");
});

Deno.test("a port that another process has is a sentence with the setting", () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  throws(
    () => listening({ ...ADDRESS, port }, () => Deno.listen({ hostname: "127.0.0.1", port })),
    new ListenError(
      `Another process has port ${port} of 127.0.0.1: end it, or set PORT to another port`,
    ),
  );
});

const ERRORS: readonly (readonly [error: Error, message: string])[] = [
  [new Deno.errors.AddrNotAvailable(), "This machine has no address 127.0.0.1: check HOST"],
  [
    new Deno.errors.PermissionDenied(),
    "The operating system refuses port 8000 of 127.0.0.1 to this user: set PORT to one from 1024 on",
  ],
];

for (const [error, message] of ERRORS) {
  Deno.test(`${error.name} is a sentence`, () => {
    throws(() =>
      listening(ADDRESS, () => {
        throw error;
      }), new ListenError(message));
  });
}

Deno.test("another error stays as it is", () => {
  const error = new Error("odd");
  throws(() =>
    listening(ADDRESS, () => {
      throw error;
    }), error);
});
