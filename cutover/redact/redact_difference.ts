import { type Difference, differenceOf } from "../evidence/evidence.ts";
import { formatLosslessJson, parseLosslessJson, stringOf } from "../exchange/lossless_json.ts";
import { type Field, fieldNamed, type Fields } from "./contract_fields.ts";
import { isPseudonym, type Pseudonyms } from "./pseudonyms.ts";
import { redactJson, redactName, redactText } from "./redact_body.ts";
import { isKnownHeader, redactHeader } from "./redact_head.ts";

/** Each text of a difference is cut to this length, in characters. */
const MAX_CHARACTERS = 200;

// The places that the comparer names.
const PLACES: ReadonlySet<string> = new Set(["status", "form", "dry run"]);
const HEADER = "header ";
const BODY = "body";
const ORDER = " (order of keys)";
const SPACES = " (spaces and escapes)";
const FORM = "form: ";
const FIXED = " may not change";
const STEP = /\.([\w-]+)|\[(\d{1,6})\]|\[("(?:[^"\\]|\\.)*")\]/y;

/** A difference whose place names only fields of the contract, and whose values are redacted as theirs. */
export function redactDifference(
  { place, legacy, service }: Difference,
  fields: Fields,
  pseudonym: Pseudonyms,
): Difference {
  const { shown, redact } = placeOf(place, fields, pseudonym);
  const valueOf = (text: string | undefined) =>
    text === undefined ? undefined : shortened(redact(text));
  return differenceOf(shortened(shown), valueOf(legacy), valueOf(service));
}

/** A place as it is shown, and how the values there are redacted. */
interface RedactedPlace {
  readonly shown: string;
  readonly redact: (text: string) => string;
}

function placeOf(place: string, fields: Fields, pseudonym: Pseudonyms): RedactedPlace {
  if (place.startsWith(HEADER)) {
    const name = place.slice(HEADER.length);
    return {
      shown: HEADER + (isKnownHeader(name) ? name : pseudonym("key", name)),
      redact: (value) => redactHeader(name, value, pseudonym),
    };
  }
  if (place.startsWith(BODY)) return placeInBody(place, fields, pseudonym);
  if (place.startsWith(FORM) && place.endsWith(FIXED)) {
    const inner = placeOf(place.slice(FORM.length, -FIXED.length), fields, pseudonym);
    return { ...inner, shown: FORM + inner.shown + FIXED };
  }
  return {
    shown: PLACES.has(place) ? place : pseudonym("key", place),
    redact: (text) => isStatus(text) ? text : redactText(text, pseudonym),
  };
}

/** A place such as `body.central.weight_kg`, `body.parents[3].lot_code` or `body["a b"]`. */
function placeInBody(place: string, fields: Fields, pseudonym: Pseudonyms): RedactedPlace {
  let field: Field | undefined = fields;
  let shown = BODY;
  let at = BODY.length;
  for (let step = stepAt(place, at); step !== undefined; step = stepAt(place, at)) {
    const [text, plain, index, quoted] = step;
    at += text.length;
    const name = plain ?? stringOf(parseLosslessJson(quoted ?? ""));
    if (name === undefined) {
      shown += `[${index ?? ""}]`;
      continue;
    }
    shown += `.${redactName(name, field, pseudonym)}`;
    field = fieldNamed(field, name);
  }
  const note = place.slice(at);
  if (note === ORDER) {
    const redact = (names: string) =>
      names.split(", ").map((name) => redactName(name, field, pseudonym)).join(", ");
    return { shown: shown + note, redact };
  }
  const isWhole = note === "" || note === SPACES;
  return {
    shown: shown + (isWhole ? note : "…"),
    redact: (text) => redactValue(text, isWhole ? field : undefined, pseudonym),
  };
}

function stepAt(place: string, at: number): RegExpExecArray | undefined {
  STEP.lastIndex = at;
  return STEP.exec(place) ?? undefined;
}

/** A value, with its length where a pseudonym stands for it: that helps to see how two differ. */
function redactValue(text: string, field: Field | undefined, pseudonym: Pseudonyms): string {
  const value = parseLosslessJson(text);
  if (value === undefined) return redactJudged(text, field, pseudonym);
  const redacted = redactJson(value, field, pseudonym);
  const shown = formatLosslessJson(redacted);
  const isReplaced = isPseudonym(stringOf(redacted) ?? "") && shown !== text;
  return isReplaced ? `${shown} (${(stringOf(value) ?? text).length} characters)` : shown;
}

/** A value behind which the comparer says in parentheses what is wrong with it, or any other text. */
function redactJudged(text: string, field: Field | undefined, pseudonym: Pseudonyms): string {
  const at = text.endsWith(")") ? text.lastIndexOf(" (") : -1;
  const value = at === -1 ? undefined : parseLosslessJson(text.slice(0, at));
  if (value === undefined) return redactText(text, pseudonym);
  const shown = formatLosslessJson(redactJson(value, field, pseudonym));
  return shown + redactText(text.slice(at), pseudonym);
}

const isStatus = (text: string) => /^[1-5]\d\d$/.test(text);

function shortened(text: string): string {
  return text.length <= MAX_CHARACTERS ? text : `${text.slice(0, MAX_CHARACTERS - 1)}…`;
}
