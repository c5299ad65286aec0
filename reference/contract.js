// @ts-check
/**
 * The contract as this page reads it.
 *
 * @module
 */

/**
 * A part of an OpenAPI document or of a JSON Schema.
 *
 * @typedef {any} Part
 */

/**
 * @typedef {object} Operation
 * @property {string} method in upper case
 * @property {string} path
 * @property {Part} part the operation's part of the contract
 */

/** @returns {Promise<Part>} */
export async function loadContract() {
  const response = await fetch("/openapi.json");
  if (!response.ok) throw new Error(`/openapi.json: status ${response.status}`);
  return await response.json();
}

/**
 * What a part stands for: references are followed, and what stands beside one wins. `name` is the
 * component's name.
 *
 * @param {Part} contract
 * @param {Part} part
 * @returns {Part}
 */
export function resolve(contract, part) {
  if (typeof part?.$ref !== "string") return part;
  const { $ref, ...beside } = part;
  const keys = $ref.slice("#/".length).split("/");
  /** @type {Part} */
  let target = contract;
  for (const key of keys) target = target?.[unescapeKey(key)];
  if (target === undefined) throw new Error(`${$ref} isn't in the contract`);
  return { name: keys.at(-1), ...resolve(contract, target), ...beside };
}

/** @param {string} key of a JSON pointer (RFC 6901) */
const unescapeKey = (key) => key.replaceAll("~1", "/").replaceAll("~0", "~");

const METHODS = ["get", "post", "put", "patch", "delete"];

/**
 * All operations, in the contract's order.
 *
 * @param {Part} contract
 * @returns {Operation[]}
 */
export function operationsOf(contract) {
  return Object.entries(contract.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => method in item)
      .map((method) => ({ method: method.toUpperCase(), path, part: item[method] }))
  );
}

/**
 * The examples of a parameter or a media type, by their names.
 *
 * @param {Part} contract
 * @param {Part} part
 * @returns {{ name: string, summary?: string, value: unknown }[]}
 */
export function examplesOf(contract, part) {
  if ("example" in part) return [{ name: "example", value: part.example }];
  return Object.entries(part.examples ?? {}).map(([name, example]) => {
    const { summary, value } = resolve(contract, example);
    return { name, summary, value };
  });
}
