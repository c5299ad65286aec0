import type { LosslessJson } from "../exchange/lossless_json.ts";

const UUID = /^[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$/;
// Capitals and digits in groups, as plants write them.
const LOT_CODE = /^[A-Z][A-Z0-9]*(?:-[A-Z0-9]+)+$/;
const MAX_LOT_CODE = 64;
// Six digits are more kilograms than a lot has, and fewer digits than a telephone number has.
const DECIMAL = /^(?:NaN|-?Infinity|-?(?:0|[1-9]\d{0,5})(?:\.\d{1,6})?)$/;
const MOMENT =
  /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d(?::?\d\d)?)?)?$/;

const FORMS = {
  uuid: (text: string) => UUID.test(text),
  "lot code": isLotCode,
  decimal: (text: string) => DECIMAL.test(text),
  moment: (text: string) => MOMENT.test(text),
};

/** A form whose values are nobody's personal data. */
export type ClosedForm = keyof typeof FORMS;

export function isClosedForm(form: unknown): form is ClosedForm {
  return typeof form === "string" && Object.hasOwn(FORMS, form);
}

/** Whether a text is a UUID or has the form of a plant's lot codes. */
export function isIdentifier(text: string): boolean {
  return UUID.test(text) || isLotCode(text);
}

export function hasClosedForm(form: ClosedForm, value: LosslessJson): boolean {
  if (value.kind === "plain") return form === "decimal" && DECIMAL.test(value.text);
  return value.kind === "string" && FORMS[form](value.value);
}

function isLotCode(text: string): boolean {
  // Names have no digit.
  return text.length <= MAX_LOT_CODE && LOT_CODE.test(text) && /\d/.test(text);
}
