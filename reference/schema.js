import { resolve } from "./contract.js";
import { element, foldout, markdown } from "./dom.js";

/** @typedef {import("./contract.js").Part} Part */

/**
 * A schema's type in words, such as `string or null` or `array of Lot`.
 *
 * @param {Part} contract
 * @param {Part} schema
 * @returns {string}
 */
export function typeOf(contract, schema) {
  const { type, format, items, anyOf, oneOf, enum: values, not } = resolve(contract, schema);
  const alternatives = anyOf ?? oneOf;
  if (alternatives !== undefined) {
    const types = alternatives.map((one) => shortTypeOf(contract, one));
    return [...new Set(types)].join(" or ");
  }
  if (type === undefined) {
    if (values !== undefined) return "one of";
    const refused = [not?.type ?? []].flat();
    return refused.length === 0
      ? "any JSON"
      : JSON_TYPES.filter((one) => !refused.includes(one)).join(" or ");
  }
  return [type].flat().map((one) => {
    if (one === "array") return `array of ${shortTypeOf(contract, items ?? {})}`;
    return one === "string" && format !== undefined ? `string (${format})` : one;
  }).join(" or ");
}

const JSON_TYPES = ["string", "number", "boolean", "object", "array", "null"];

/**
 * The name of a schema that is made of others, which may contain it again; another's type.
 *
 * @param {Part} contract
 * @param {Part} schema
 * @returns {string}
 */
function shortTypeOf(contract, schema) {
  const { name, properties, items, anyOf, oneOf } = resolve(contract, schema);
  const isMade = [properties, items, anyOf, oneOf].some((part) => part !== undefined);
  return isMade && name !== undefined ? name : typeOf(contract, schema);
}

/**
 * The schema with the properties that a value has, itself or its items, or the alternative with
 * some.
 *
 * @param {Part} contract
 * @param {Part} schema
 * @param {readonly string[]} above references that led here
 * @returns {Part | undefined}
 */
function fieldsOf(contract, schema, above = []) {
  if (above.includes(schema.$ref)) return undefined;
  const path = [...above, schema.$ref ?? ""];
  const resolved = resolve(contract, schema);
  if (Object.keys(resolved.properties ?? {}).length > 0) return resolved;
  const { additionalProperties, items, anyOf, oneOf } = resolved;
  for (const one of [additionalProperties, items, ...(anyOf ?? oneOf ?? [])]) {
    if (one === undefined || typeof one === "boolean") continue;
    const found = fieldsOf(contract, one, path);
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * What a schema allows beside its type.
 *
 * @param {Part} schema resolved
 * @returns {Node[]}
 */
function limitsOf(schema) {
  const { minimum, maximum, minLength, maxLength, default: usual, enum: values, pattern } = schema;
  const lines = [];
  if (values !== undefined) {
    const codes = values.map((value) =>
      element("code", {}, typeof value === "string" ? value : JSON.stringify(value))
    );
    lines.push(element("p", {}, ...codes.flatMap((one) => [one, " "])));
  }
  const limits = [
    minimum !== undefined && `at least ${minimum}`,
    maximum !== undefined && `at most ${maximum}`,
    minLength !== undefined && `at least ${minLength} characters`,
    maxLength !== undefined && `at most ${maxLength} characters`,
    usual !== undefined && `default ${JSON.stringify(usual)}`,
  ].filter((limit) => limit !== false);
  if (limits.length > 0) lines.push(element("p", {}, limits.join(" · ")));
  if (pattern !== undefined) {
    lines.push(foldout(
      {},
      element("summary", {}, "Pattern"),
      () => [element("p", {}, element("code", {}, pattern))],
    ));
  }
  return lines;
}

/**
 * All about a value but its name and type, and of its alternatives.
 *
 * @param {Part} contract
 * @param {Part} schema
 * @returns {Node[]}
 */
export function describe(contract, schema) {
  const resolved = resolve(contract, schema);
  // Alternatives with fields have a list of their own.
  const alternatives = (resolved.anyOf ?? resolved.oneOf ?? [])
    .filter((one) => fieldsOf(contract, one) === undefined)
    .map((one) => resolve(contract, one));
  return [resolved, ...alternatives].flatMap((one) => [
    ...one.description === undefined ? [] : [markdown(one.description)],
    ...limitsOf(one),
  ]);
}

/**
 * The fields of a schema as a list; those of its objects open on demand.
 *
 * @param {Part} contract
 * @param {Part} schema
 * @param {"request" | "response"} direction
 * @param {readonly Part[]} above the schemas around it, which aren't opened again
 * @returns {Node | undefined}
 */
export function fieldList(contract, schema, direction, above = []) {
  const owner = fieldsOf(contract, schema);
  if (owner === undefined || above.includes(owner.properties)) return undefined;
  const rows = Object.entries(owner.properties).map(([name, property]) =>
    element(
      "li",
      {},
      element("code", { class: "name" }, name),
      element("span", { class: "type" }, ` ${typeOf(contract, property)}`),
      presence(direction, owner.required?.includes(name) ?? false),
      ...describe(contract, property),
      nestedFields(contract, property, direction, [...above, owner.properties]),
    )
  );
  return element("ul", { class: "fields" }, ...rows);
}

/**
 * @param {"request" | "response"} direction
 * @param {boolean} isRequired
 */
function presence(direction, isRequired) {
  if (direction === "request") {
    return isRequired ? element("span", { class: "required" }, " required") : undefined;
  }
  return isRequired ? undefined : element("span", { class: "type" }, ", not always");
}

/**
 * @param {Part} contract
 * @param {Part} schema
 * @param {"request" | "response"} direction
 * @param {readonly Part[]} above
 * @returns {Node | undefined}
 */
function nestedFields(contract, schema, direction, above) {
  const owner = fieldsOf(contract, schema);
  if (owner === undefined || above.includes(owner.properties)) return undefined;
  const summary = element("summary", {}, owner.name ? `Fields of ${owner.name}` : "Its fields");
  return foldout({}, summary, () => [fieldList(contract, schema, direction, above)]);
}
