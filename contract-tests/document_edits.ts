import { ok } from "node:assert/strict";
import { isObject } from "../json.ts";
import type { Json } from "./normal_form.ts";

/*
 * Small edits of a document, for tests of the comparisons. A place is a list of keys joined by `|`,
 * since paths of an API have slashes and dots.
 */

/** Sets a value at a place, whether it exists or not. */
export function set(document: Json, place: string, value: Json): void {
  const { holder, name } = find(document, place);
  holder[name] = value;
}

/** Removes an existing value at a place. */
export function unset(document: Json, place: string): void {
  const { holder, name } = find(document, place);
  ok(name in holder, `${place} isn't there to be removed`);
  delete holder[name];
}

/** Adds an item to the list at a place. */
export function append(document: Json, place: string, item: Json): void {
  set(document, place, [...listAt(document, place), item]);
}

/** Removes the item at a position, the last one by -1, from the list at a place. */
export function drop(document: Json, place: string, position: number): void {
  const list = listAt(document, place);
  ok(list.at(position) !== undefined, `${place} is too short`);
  set(document, place, list.toSpliced(position, 1));
}

function listAt(document: Json, place: string): Json[] {
  const { holder, name } = find(document, place);
  const list = holder[name];
  ok(Array.isArray(list), `${place} is no list`);
  return list;
}

function find(document: Json, place: string): { holder: Record<string, Json>; name: string } {
  const names = place.split("|");
  const name = names.pop() ?? "";
  let at: Json = document;
  for (const step of names) {
    ok(typeof at === "object" && at !== null, place);
    at = (Array.isArray(at) ? at[Number(step)] : at[step]) ?? null;
  }
  ok(isObject(at), place);
  return { holder: at, name };
}
