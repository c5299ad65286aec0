// The server has the package's file under this path; none is in this folder.
const { parse, parseInline } = await import("/docs/marked.js");

/**
 * A new element. Attributes that begin with `on` are listeners; true sets an attribute without a
 * value, false and undefined leave it out.
 *
 * @param {string} tag
 * @param {Record<string, string | boolean | undefined | ((event: Event) => void)>} attributes
 * @param {...(Node | string | undefined)} children
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name.slice("on".length), value);
    else if (value !== undefined && value !== false) {
      made.setAttribute(name, value === true ? "" : value);
    }
  }
  made.append(...children.filter((child) => child !== undefined));
  return made;
}

/**
 * Markdown of the contract: it is the server's own, so its HTML needs no sanitizer.
 *
 * @param {string | undefined} text
 */
export function markdown(text) {
  const made = element("div", { class: "text" });
  made.innerHTML = parse(text ?? "", { async: false });
  return made;
}

/**
 * Markdown without paragraphs, for a heading or a summary.
 *
 * @param {string | undefined} text
 */
export function inlineMarkdown(text) {
  const made = element("span");
  made.innerHTML = parseInline(text ?? "", { async: false });
  return made;
}

/**
 * A part that is closed at first, and made when it is opened.
 *
 * @param {Record<string, string>} attributes
 * @param {Node} summary
 * @param {() => (Node | string | undefined)[]} content
 */
export function foldout(attributes, summary, content) {
  let isMade = false;
  const make = () => {
    if (!isMade) details.append(...content().filter((child) => child !== undefined));
    isMade = true;
  };
  const details = element("details", { ...attributes, ontoggle: make }, summary);
  return details;
}

/**
 * Text in a box that scrolls by itself, with the keyboard too.
 *
 * @param {string} label
 * @param {string} text
 */
export const codeBox = (label, text) =>
  element("pre", { tabindex: "0", role: "group", "aria-label": label }, element("code", {}, text));

/**
 * @param {unknown} value
 * @returns {string}
 */
export const asJson = (value) => JSON.stringify(value, null, 2);
