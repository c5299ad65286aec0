import { isObject } from "../json.ts";
import type { Json } from "./normal_form.ts";

// Values that an example can only invent, each compared by its form alone.
const GENERATED: [form: RegExp, name: string][] = [
  [/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, "id"],
  [/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/, "time"],
  [/^[\w-]+\.[\w-]+\.[\w-]+$/, "token"],
  [/^[\w-]{43}$/, "key"],
];

/**
 * Whether a response matches an example: the same fields and values, except ids, times, tokens and
 * keys, which an example can only invent. Of a list the example may show a part.
 */
export function isShownBy(example: Json, response: Json): boolean {
  if (Array.isArray(example)) {
    return Array.isArray(response) && (example.length > 0) === (response.length > 0) &&
      example.every((item) => response.some((candidate) => isShownBy(item, candidate)));
  }
  if (isObject(example)) {
    if (!isObject(response)) return false;
    const names = new Set([...Object.keys(example), ...Object.keys(response)]);
    return [...names].every((name) => {
      const [shown, sent] = [example[name], response[name]];
      return shown !== undefined && sent !== undefined && isShownBy(shown, sent);
    });
  }
  return formOf(example) === formOf(response);
}

/**
 * As {@link isShownBy}, for text: each of the example's lines matches one of the response's. Lines
 * are compared as JSON if possible, else up to the number at the end.
 */
export function isTextShownBy(example: string, response: string): boolean {
  const lines = response.trimEnd().split("\n").map(parseLine);
  return example.trimEnd().split("\n").map(parseLine)
    .every((shown) => lines.some((line) => isShownBy(shown, line)));
}

function parseLine(line: string): Json {
  return line.startsWith("{") ? JSON.parse(line) : line.replace(/ [\d.]+$/, "");
}

function formOf(value: Json): Json {
  if (typeof value !== "string") return value;
  return GENERATED.find(([form]) => form.test(value))?.[1] ?? value;
}
