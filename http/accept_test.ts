import { strictEqual } from "node:assert/strict";
import { prefersHtml } from "./accept.ts";

const HEADERS: [what: string, accept: string | null, isBrowser: boolean][] = [
  ["Firefox and Chrome", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true],
  ["HTML alone", "text/html", true],
  ["HTML in capitals", "TEXT/HTML", true],
  ["any text", "text/*", true],
  ["HTML before JSON", "application/json;q=0.5, text/html;q=0.9", true],
  ["no header", null, false],
  ["an empty header", "", false],
  ["curl", "*/*", false],
  ["axios", "application/json, text/plain, */*", false],
  ["JSON before HTML", "text/html;q=0.5, application/json", false],
  ["HTML and JSON alike", "text/html, application/json", false],
  ["HTML refused", "text/html;q=0, */*", false],
  ["anything but JSON", "application/json;q=0, */*;q=0.1", true],
  ["no types", ",;q=1,,", false],
];

for (const [what, accept, isBrowser] of HEADERS) {
  Deno.test(`${what}: ${isBrowser ? "a page" : "JSON"}`, () => {
    strictEqual(prefersHtml(accept), isBrowser);
  });
}
