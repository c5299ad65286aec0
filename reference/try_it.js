import { resolve } from "./contract.js";
import { element } from "./dom.js";
import { acceptInput, bodyInput, KEY_HEADER, parameterInput } from "./fields.js";
import { responseParts, send, statusLine } from "./response.js";
import { sampleView } from "./sample_view.js";

/** @typedef {import("./contract.js").Part} Part */
/** @typedef {import("./contract.js").Operation} Operation */

/**
 * What the whole page shares.
 *
 * @typedef {object} Access
 * @property {() => string} token empty without one
 * @property {(token: string) => void} useToken
 * @property {(listener: () => void) => void} onChange of the token
 */

/**
 * A form that sends requests of one operation, and shows each as code.
 *
 * @param {Part} contract
 * @param {Operation} operation
 * @param {Access} access
 * @returns {Node}
 */
export function tryIt(contract, operation, access) {
  const { part } = operation;
  const id = part.operationId;
  const parameters = (part.parameters ?? []).map((one) => resolve(contract, one));
  const inputs = parameters.map((one) => parameterInput(contract, id, one));
  const body = bodyInput(contract, id, part.requestBody && resolve(contract, part.requestBody));
  const accept = acceptInput(contract, id, part);
  const keyInput = inputs.find((one) => one.parameter.name === KEY_HEADER);
  const key = keyInput && freshKeys(keyInput.input);

  const current = () => requestOf(operation, inputs, body, accept, access.token());
  const samples = sampleView(id, current, () => key?.renew());
  const status = element("p", { role: "status" });
  const result = element("div");
  const button = element("button", { type: "submit" }, "Send");

  const submit = async (event) => {
    event.preventDefault();
    button.setAttribute("disabled", "");
    status.textContent = "Sending …";
    result.replaceChildren();
    const { token, ...request } = current();
    try {
      const response = await send(request, token);
      // After a failure of the service, as after none, a repeat with the same key is safe.
      if (response.status < 500) key?.renew();
      status.replaceChildren(statusLine(response));
      result.replaceChildren(...responseParts(response));
      if (id === "login" && response.ok) access.useToken(JSON.parse(response.text).token);
    } catch (error) {
      status.replaceChildren(element("span", { class: "failed" }, `No response. ${error}`));
    } finally {
      button.removeAttribute("disabled");
      samples.update();
    }
  };
  const form = element(
    "form",
    { class: "try", onsubmit: submit, oninput: samples.update, onchange: samples.update },
    ...inputs.map((one) => one.row),
    ...[accept?.row, ...(body?.rows ?? [])],
    element("p", {}, button),
  );
  access.onChange(samples.update);
  return element("div", {}, form, status, result, samples.view);
}

/**
 * Gives the input a new key for each request, unless a person has typed one.
 *
 * @param {Part} input
 */
function freshKeys(input) {
  let made = "";
  const renew = () => {
    if (input.value !== made) return;
    made = newKey();
    input.value = made;
  };
  input.value = "";
  renew();
  return { renew };
}

/** A UUID. `crypto.randomUUID` is missing where a plant serves this page without TLS. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/**
 * The request that the form describes.
 *
 * @param {Operation} operation
 * @param {Part[]} inputs
 * @param {Part} body
 * @param {Part} accept
 * @param {string} token
 */
function requestOf({ method, path, part }, inputs, body, accept, token) {
  let filled = path;
  const query = new URLSearchParams();
  const headers = [];
  if (accept) headers.push(["Accept", accept.input.value]);
  for (const { parameter: { name, in: place }, input: { value } } of inputs) {
    if (place === "path") filled = filled.replace(`{${name}}`, encodeURIComponent(value));
    else if (value === "") continue;
    else if (place === "query") query.append(name, value);
    else headers.push([name, value]);
  }
  if (body && body.input.value !== "") headers.push(["Content-Type", body.type]);
  const search = query.size > 0 ? `?${query}` : "";
  const isPublic = part.security?.length === 0;
  return {
    method,
    url: `${location.origin}${filled}${search}`,
    headers,
    body: body && body.input.value !== "" ? body.input.value : undefined,
    token: isPublic ? "" : token,
  };
}
