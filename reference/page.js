import { loadContract, operationsOf } from "./contract.js";
import { element, foldout, markdown } from "./dom.js";
import { operationView } from "./operation.js";

/**
 * The reference of the API: it shows the contract of the server that it comes from, and sends
 * requests to it.
 *
 * @module
 */

/** @typedef {import("./contract.js").Part} Part */

const main = document.querySelector("main");
const nav = document.querySelector("nav");

/** @param {Part} contract */
function show(contract) {
  const operations = operationsOf(contract);
  const groups = contract.tags.map((tag) => ({
    tag,
    operations: operations.filter(({ part }) => part.tags?.[0] === tag.name),
  }));
  const { view: tokenView, access } = tokenField();
  main?.replaceChildren(
    element("p", { class: "lead" }, `${contract.info.summary} Version ${contract.info.version}.`),
    foldout(
      { class: "about" },
      element("summary", {}, element("h2", {}, "About values, errors, repeats and access")),
      () => [markdown(contract.info.description)],
    ),
    tokenView,
    element("div", { id: "operations", tabindex: "-1" }),
    ...groups.flatMap(({ tag, operations }) => [
      element("h2", { id: anchorOf(tag.name) }, tag.name),
      markdown(tag.description),
      ...operations.map((one) => operationView(contract, one, access)),
    ]),
  );
  nav?.replaceChildren(menu(groups));
  addEventListener("hashchange", openTarget);
  openTarget();
}

/** @param {string} tag */
const anchorOf = (tag) => `tag-${tag.replaceAll(" ", "-")}`;

/** @param {Part[]} groups */
function menu(groups) {
  const list = element(
    "ul",
    {},
    ...groups.map(({ tag, operations }) =>
      element(
        "li",
        {},
        element("a", { href: `#${anchorOf(tag.name)}` }, tag.name),
        element(
          "ul",
          {},
          ...operations.map(({ part }) =>
            element("li", {}, element("a", { href: `#${part.operationId}` }, part.operationId))
          ),
        ),
      )
    ),
  );
  const details = element("details", {}, element("summary", {}, "Operations"), list);
  // Beside the operations where there is room, above them elsewhere.
  if (matchMedia("(min-width: 60rem)").matches) details.setAttribute("open", "");
  return details;
}

/** The field with the token, which stays in this page alone. */
function tokenField() {
  const input = element("input", {
    id: "token",
    type: "password",
    autocomplete: "off",
    spellcheck: "false",
    "aria-describedby": "token-about",
  });
  const said = element("span", { role: "status" });
  const view = element(
    "section",
    { class: "token" },
    element("h2", {}, "Access"),
    element("label", { for: "token" }, "Token"),
    input,
    said,
    element(
      "p",
      { id: "token-about" },
      "Needed where the service has AUTH_MODE=required. Send ",
      element("a", { href: "#login" }, "login"),
      ", and its token is filled in here. This page forgets it when it is closed.",
    ),
  );
  const listeners = new Set();
  const changed = () => listeners.forEach((listener) => listener());
  const access = {
    onChange: (listener) => listeners.add(listener),
    token: () => input.value.trim(),
    useToken: (token) => {
      input.value = token;
      said.textContent = " The token of the login is in use.";
      changed();
    },
  };
  input.addEventListener("input", () => {
    said.replaceChildren();
    changed();
  });
  return { view, access };
}

/** Opens the operation that the address names. */
function openTarget() {
  const target = document.getElementById(location.hash.slice("#".length));
  if (target === null) return;
  if (target.tagName === "DETAILS") target.setAttribute("open", "");
  target.scrollIntoView();
}

try {
  show(await loadContract());
} catch (error) {
  main?.replaceChildren(element("p", { role: "alert" }, `The contract can't be shown. ${error}`));
  throw error;
}
