import { codeBox, element } from "./dom.js";

/** More would make the page slow, in characters. */
const MAX_SHOWN = 200_000;

/**
 * A response, read to its end.
 *
 * @typedef {object} Received
 * @property {boolean} ok
 * @property {number} status
 * @property {string} statusText
 * @property {string} headers a line for each
 * @property {string} text
 * @property {number} took in ms
 */

/**
 * @param {{ method: string, url: string, headers: [string, string][], body?: string }} request
 * @param {string} token empty without one
 * @returns {Promise<Received>}
 */
export async function send({ method, url, headers, body }, token) {
  const sent = new Headers(headers);
  if (token !== "") sent.set("Authorization", `Bearer ${token}`);
  const start = performance.now();
  // What the browser has stored would hide what the service says now.
  const response = await fetch(url, { method, headers: sent, body, cache: "no-store" });
  const text = await response.text();
  const { ok, status, statusText } = response;
  const lines = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
  return { ok, status, statusText, headers: lines, text, took: performance.now() - start };
}

/** @param {Received} response */
export const statusLine = ({ ok, status, statusText, took }) =>
  element(
    "span",
    { class: ok ? "ok" : "failed" },
    element("strong", {}, String(status)),
    ` ${statusText} in ${Math.round(took)} ms`,
  );

/** @param {Received} response */
export const responseParts = ({ headers, text }) => [
  element(
    "details",
    {},
    element("summary", {}, "Headers of the response"),
    codeBox("Headers of the response", headers),
  ),
  ...text === "" ? [] : [codeBox("Body of the response", readable(text))],
];

/** @param {string} text */
function readable(text) {
  if (text.length > MAX_SHOWN) {
    return `${text.slice(0, MAX_SHOWN)}\n… ${text.length - MAX_SHOWN} more characters`;
  }
  try {
    return JSON.stringify(parseExactly(text), null, 2);
  } catch {
    return text;
  }
}

/**
 * JSON with its numbers as they are written, which a double might round. Browsers without
 * `JSON.rawJSON` show the text as it came.
 *
 * @param {string} text
 */
function parseExactly(text) {
  const { rawJSON } = JSON;
  return JSON.parse(
    text,
    (_key, value, context) => typeof value === "number" ? rawJSON(context?.source) : value,
  );
}
