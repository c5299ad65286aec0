import { examplesOf, resolve } from "./contract.js";
import { asJson, codeBox, element, foldout, inlineMarkdown, markdown } from "./dom.js";
import { describe, fieldList, typeOf } from "./schema.js";
import { tryIt } from "./try_it.js";

/** @typedef {import("./contract.js").Part} Part */
/** @typedef {import("./contract.js").Operation} Operation */
/** @typedef {import("./try_it.js").Access} Access */

/**
 * One operation: closed, it is a line; open, it has all about it.
 *
 * @param {Part} contract
 * @param {Operation} operation
 * @param {Access} access
 * @returns {Node}
 */
export function operationView(contract, operation, access) {
  const { method, path, part } = operation;
  const heading = element(
    "h3",
    {},
    element("span", { class: `method ${method.toLowerCase()}` }, method),
    " ",
    element("code", {}, path),
    " ",
    element("span", { class: "summary" }, part.summary ?? part.operationId),
  );
  return foldout(
    { id: part.operationId, class: "operation" },
    element("summary", {}, heading),
    () => [
      part.deprecated ? element("p", { class: "failed" }, "Deprecated.") : undefined,
      markdown(part.description),
      element("p", { class: "access" }, accessOf(part)),
      section("Try it", [tryIt(contract, operation, access)]),
      bodyFields(contract, part),
      section("Responses", [responses(contract, part)]),
    ],
  );
}

/**
 * @param {string} title
 * @param {Node[]} content
 */
const section = (title, content) => element("section", {}, element("h4", {}, title), ...content);

/** @param {Part} part */
function accessOf(part) {
  const names = (part.security ?? []).flatMap((one) => Object.keys(one));
  if (names.length === 0) return "Access: open to everyone.";
  const needed = names.includes("bearerAuth")
    ? "Access: with AUTH_MODE=required, the token of a login."
    : `Access: the token ${names.join(" or ")}.`;
  return part["x-roles"] === undefined ? needed : `${needed} Roles: ${part["x-roles"].join(", ")}.`;
}

/**
 * @param {Part} contract
 * @param {Part} part
 */
function bodyFields(contract, part) {
  if (part.requestBody === undefined) return undefined;
  const { content } = resolve(contract, part.requestBody);
  const [media] = Object.values(content);
  const fields = fieldList(contract, media.schema, "request");
  const about = resolve(contract, media.schema).description;
  if (fields === undefined && about === undefined) return undefined;
  return section("Body of the request", [markdown(about), ...fields === undefined ? [] : [fields]]);
}

/**
 * All statuses, errors too.
 *
 * @param {Part} contract
 * @param {Part} part
 */
function responses(contract, part) {
  const rows = Object.entries(part.responses).map(([status, response]) => {
    const resolved = resolve(contract, response);
    const summary = element(
      "summary",
      {},
      element("strong", { class: status < "400" ? "ok" : "failed" }, status),
      " ",
      inlineMarkdown(resolved.description),
    );
    return foldout({ class: "response", "data-status": status }, summary, () => [
      ...Object.entries(resolved.content ?? {})
        .flatMap(([type, media]) => mediaView(contract, `Status ${status}`, type, media)),
      linkList(contract, resolved.links ?? {}),
      headerList(contract, resolved.headers ?? {}),
    ]);
  });
  return element("div", {}, ...rows);
}

/**
 * @param {Part} contract
 * @param {string} label
 * @param {string} type
 * @param {Part} media
 * @returns {(Node | undefined)[]}
 */
function mediaView(contract, label, type, media) {
  const examples = examplesOf(contract, media).map(({ name, summary, value }) =>
    codeBox(
      `${label}, ${summary ?? name}, ${type}`,
      typeof value === "string" ? value : asJson(value),
    )
  );
  return [
    element(
      "p",
      {},
      "Body: ",
      element("code", {}, type),
      element("span", { class: "type" }, ` ${typeOf(contract, media.schema)}`),
    ),
    ...describe(contract, media.schema),
    fieldList(contract, media.schema, "response"),
    ...examples,
  ];
}

/**
 * @param {Part} contract
 * @param {Part} headers
 */
function headerList(contract, headers) {
  const rows = Object.entries(headers).map(([name, header]) => {
    const { description, required } = resolve(contract, header);
    return element(
      "li",
      {},
      element("code", { class: "name" }, name),
      element("span", { class: "type" }, required ? " header" : " header, not always"),
      markdown(description),
    );
  });
  return rows.length === 0 ? undefined : element("ul", { class: "fields" }, ...rows);
}

/**
 * @param {Part} contract
 * @param {Part} links
 */
function linkList(contract, links) {
  const rows = Object.values(links).map((link) => {
    const { operationId, description } = resolve(contract, link);
    const target = element("a", { href: `#${operationId}` }, operationId);
    return element("li", {}, "Next: ", target, " ", inlineMarkdown(description));
  });
  return rows.length === 0 ? undefined : element("ul", { class: "fields" }, ...rows);
}
