import { examplesOf, resolve } from "./contract.js";
import { asJson, element, markdown } from "./dom.js";
import { describe, typeOf } from "./schema.js";

/** @typedef {import("./contract.js").Part} Part */

export const KEY_HEADER = "Idempotency-Key";

/**
 * @param {Part} contract
 * @param {string} operationId
 * @param {Part} parameter
 */
export function parameterInput(contract, operationId, parameter) {
  const id = `${operationId}-${parameter.name}`;
  const [example] = examplesOf(contract, parameter);
  const { enum: values } = resolve(contract, parameter.schema);
  const input = values === undefined
    ? element("input", { id, autocomplete: "off", spellcheck: "false" })
    : element("select", { id }, ...["", ...values].map((one) => element("option", {}, one)));
  if (parameter.required) input.setAttribute("required", "");
  input.setAttribute("aria-describedby", `${id}-about`);
  // Optional parameters are left out until somebody wants them.
  if (parameter.required && example !== undefined) {
    input.setAttribute("value", String(example.value));
  }
  const about = element(
    "div",
    { id: `${id}-about` },
    markdown(parameter.description),
    ...describe(contract, { ...resolve(contract, parameter.schema), description: undefined }),
    parameter.name === KEY_HEADER
      ? element("p", {}, "This page makes a new key for each request. Type your own to repeat one.")
      : undefined,
  );
  const label = element(
    "label",
    { for: id },
    element("code", { class: "name" }, parameter.name),
    element("span", { class: "type" }, ` ${parameter.in}, ${typeOf(contract, parameter.schema)}`),
    parameter.required ? element("span", { class: "required" }, " required") : undefined,
  );
  return { parameter, input, row: element("div", { class: "field" }, label, input, about) };
}

/**
 * @param {Part} contract
 * @param {string} operationId
 * @param {Part | undefined} requestBody
 */
export function bodyInput(contract, operationId, requestBody) {
  if (requestBody === undefined) return undefined;
  const [type = "", media] = Object.entries(requestBody.content)[0] ?? [];
  const examples = examplesOf(contract, media);
  const id = `${operationId}-body`;
  const texts = examples.map(({ value }) => asJson(value));
  const rowsOf = (text) => String(Math.min(text.split("\n").length + 1, 20));
  const input = element("textarea", { id, spellcheck: "false", rows: rowsOf(texts[0] ?? "") });
  input.value = texts[0] ?? "";
  const label = element(
    "label",
    { for: id },
    "Body",
    element("span", { class: "type" }, ` ${type}`),
    requestBody.required ? element("span", { class: "required" }, " required") : undefined,
  );
  const rows = [element("div", { class: "field" }, label, input)];
  if (examples.length > 1) rows.unshift(exampleChoice(id, examples, texts, input));
  return { type, input, rows };
}

/**
 * @param {string} bodyId
 * @param {{ name: string, summary?: string }[]} examples
 * @param {readonly string[]} texts
 * @param {Part} input
 */
function exampleChoice(bodyId, examples, texts, input) {
  const id = `${bodyId}-example`;
  const choice = element(
    "select",
    { id },
    ...examples.map(({ name, summary }, at) =>
      element("option", { value: String(at) }, summary ?? name)
    ),
  );
  choice.addEventListener("change", () => {
    input.value = texts[Number(choice.value)];
  });
  return element("div", { class: "field" }, element("label", { for: id }, "Example"), choice);
}

/**
 * A choice, where a success has more than one media type.
 *
 * @param {Part} contract
 * @param {string} operationId
 * @param {Part} part
 */
export function acceptInput(contract, operationId, part) {
  const [, success] = Object.entries(part.responses).find(([status]) => status.startsWith("2")) ??
    [];
  const types = Object.keys(resolve(contract, success)?.content ?? {});
  if (types.length < 2) return undefined;
  const id = `${operationId}-accept`;
  const input = element("select", { id }, ...types.map((type) => element("option", {}, type)));
  const label = element("label", { for: id }, "Media type of the response");
  return { input, row: element("div", { class: "field" }, label, input) };
}
