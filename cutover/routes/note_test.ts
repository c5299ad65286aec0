import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { NoteForm, storableReason } from "./routing.ts";

Deno.test("a note says who and why, within the limit of characters", () => {
  deepStrictEqual(NoteForm.parse({ who: " ana ", why: "sm\0oke\n" }), { who: "ana", why: "smoke" });
  const odd = [
    { who: "ana" },
    { who: "ana", why: " \0 " },
    { who: "", why: "x" },
    {
      who: "ana",
      why: "x".repeat(501),
    },
    { who: "a".repeat(101), why: "x" },
    { who: 1, why: "x" },
  ];
  for (const one of odd) strictEqual(NoteForm.safeParse(one).success, false, JSON.stringify(one));
});

Deno.test("a program's reason is made storable, with any content", () => {
  strictEqual(storableReason(" a\0b \n"), "ab");
  strictEqual(storableReason("\0 "), "no reason given");
  strictEqual(storableReason("x\ud800"), "x\ufffd");
  const long = storableReason("😀".repeat(501));
  deepStrictEqual([[...long].length, long.isWellFormed()], [500, true]);
});
