import { throws } from "node:assert/strict";
import { checkHead } from "./request_head.ts";

const HOSTS = [
  "plant",
  "plant:8000",
  "plant.example",
  "127.0.0.1:80",
  "[::1]:8000",
  "my_plant",
  "",
  ":80",
];
const NO_HOSTS = [
  "a/b",
  "a?b",
  "a#b",
  "a\\b",
  "a@b",
  "a b",
  "a:b",
  "a:1:2",
  "a:65536",
  "[a/b]",
  "a/api/lots?",
];

for (const host of HOSTS) {
  Deno.test(`"${host}" is a host`, () => checkHead(new Headers({ host })));
}

for (const host of NO_HOSTS) {
  Deno.test(`"${host}" is no host: it would become a part of the path`, () => {
    throws(() => checkHead(new Headers({ host })), /^ApiError: The Host header is not a host$/);
  });
}

Deno.test("a request without a host is refused", () => {
  throws(() => checkHead(new Headers()), /has no Host header/);
});

Deno.test("a request with two lengths is refused", () => {
  const two = new Headers([["host", "plant"], ["content-length", "2"], ["content-length", "2"]]);
  throws(() => checkHead(two), /more than one Content-Length/);
  checkHead(new Headers({ host: "plant", "content-length": "2" }));
});

Deno.test("the only transfer coding is chunked", () => {
  const coded = (coding: string) => new Headers({ host: "plant", "transfer-encoding": coding });
  for (const coding of ["gzip", "gzip, chunked", "chunked, chunked", "xchunked", ""]) {
    throws(() => checkHead(coded(coding)), /only transfer encoding is chunked/);
  }
  checkHead(coded("Chunked"));
});
