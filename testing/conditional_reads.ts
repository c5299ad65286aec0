/** Conditional headers of a read with a known ETag, and its status. */
export const CONDITIONAL_READS: [
  what: string,
  headers: (etag: string) => Record<string, string>,
  status: number,
][] = [
  ["the ETag", (etag) => ({ "if-none-match": etag }), 304],
  ["the ETag as a strong one", (etag) => ({ "if-none-match": etag.replace("W/", "") }), 304],
  ["the ETag among others", (etag) => ({ "if-none-match": `"a", ${etag} , W/"b"` }), 304],
  ["a star", () => ({ "if-none-match": "*" }), 304],
  ["the ETag and a later date", (etag) => ({
    "if-none-match": etag,
    "if-modified-since": "Wed, 01 Jan 2098 00:00:00 GMT",
  }), 200],
  ["another ETag", () => ({ "if-none-match": 'W/"2c-x"' }), 200],
  ["half of the ETag", (etag) => ({ "if-none-match": etag.slice(0, -5) }), 200],
  ["an empty list", () => ({ "if-none-match": "" }), 200],
  ["the ETag but no-cache", (etag) => ({
    "if-none-match": etag,
    "cache-control": "no-cache",
  }), 200],
  ["the ETag and max-age", (etag) => ({
    "if-none-match": etag,
    "cache-control": "max-age=0",
  }), 304],
  ["a date alone", () => ({ "if-modified-since": "Wed, 01 Jan 2098 00:00:00 GMT" }), 200],
  ["nothing", () => ({}), 200],
];
