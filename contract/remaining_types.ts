import { isObject } from "../json.ts";

/** The types of JSON. */
export const JSON_TYPES = ["object", "array", "string", "number", "boolean", "null"] as const;

type JsonType = typeof JSON_TYPES[number];

/**
 * The types that a schema of the form `not: { type: [object, array] }` allows. The contract uses it
 * for values of several types: code generators make an empty class of `anyOf` and of a list of types
 * (docs/contract.md).
 */
export function remainingTypes({ type, not }: Record<string, unknown>): JsonType[] | undefined {
  if (type !== undefined || !isObject(not) || !Array.isArray(not.type)) return undefined;
  const excluded: unknown[] = not.type;
  return JSON_TYPES.filter((one) => !excluded.includes(one));
}
