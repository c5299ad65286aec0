import { SAMPLES } from "./code_samples.js";
import { codeBox, element } from "./dom.js";

/** @typedef {import("./contract.js").Part} Part */

/**
 * The request as code, in the language that is chosen.
 *
 * @param {string} operationId
 * @param {() => Part} current the request as it is now
 * @param {() => void} onCopied
 */
export function sampleView(operationId, current, onCopied) {
  const box = codeBox("Code", "");
  const id = `${operationId}-language`;
  const choice = element(
    "select",
    { id },
    ...Object.keys(SAMPLES).map((name) => element("option", {}, name)),
  );
  const said = element("span", { role: "status" });
  const update = () => {
    const { token, ...request } = current();
    const code = SAMPLES[choice.value]({ ...request, hasToken: token !== "" });
    if (box.textContent !== code) box.replaceChildren(element("code", {}, code));
  };
  choice.addEventListener("change", update);
  const copy = async () => {
    update();
    const copied = await copyText(box);
    said.textContent = copied ? " Copied." : " Select the text and copy it with the keyboard.";
    onCopied();
  };
  update();
  const view = element(
    "div",
    { class: "samples" },
    element(
      "p",
      { class: "choice" },
      element("label", { for: id }, "As code "),
      choice,
      element("button", { type: "button", onclick: copy }, "Copy"),
      said,
    ),
    box,
  );
  return { view, update };
}

/**
 * Whether the text is in the clipboard. Without TLS browsers have no `navigator.clipboard`; the
 * text is selected then, and the older command copies it.
 *
 * @param {Node} box
 */
async function copyText(box) {
  try {
    await navigator.clipboard.writeText(box.textContent ?? "");
    return true;
  } catch {
    getSelection()?.selectAllChildren(box);
    return document.execCommand("copy");
  }
}
