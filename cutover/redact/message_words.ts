import { OPERATIONS } from "../exchange/operations.ts";
import { isIdentifier } from "./closed_form.ts";
import { FIELD_NAMES } from "./contract_fields.ts";
// Of the two servers and of the comparer, without the values that stand in them.
import MESSAGES from "./messages.json" with { type: "json" };
import { isPseudonym, type PseudonymKind, type Pseudonyms } from "./pseudonyms.ts";

// All but these signs belongs to a word, letters of every script among it.
const WORD = /[^ \t\r\n"'<>()[\]{},;:=&/\\|!?*`…]+/g;

const WORDS: ReadonlySet<string> = new Set(
  [...MESSAGES, ...OPERATIONS.map(({ path }) => path), ...FIELD_NAMES]
    .flatMap((text) => text.match(WORD) ?? [])
    // A number may be a part of a telephone number.
    .filter((word) => !/^\d+$/.test(word)),
);

/**
 * A text of which only known words, ids and lot codes stay. What stands between two of them becomes one
 * pseudonym.
 */
export function knownWords(text: string, kind: PseudonymKind, pseudonym: Pseudonyms): string {
  let shown = "";
  let done = 0;
  // Where unknown words begin and end.
  let unknown: { readonly from: number; to: number } | undefined;
  const replaceUnknown = () => {
    if (unknown === undefined) return;
    shown += text.slice(done, unknown.from) + pseudonym(kind, text.slice(unknown.from, unknown.to));
    done = unknown.to;
    unknown = undefined;
  };
  for (const { 0: word, index } of text.matchAll(WORD)) {
    if (WORDS.has(word) || isIdentifier(word) || isPseudonym(word)) replaceUnknown();
    else if (unknown === undefined) unknown = { from: index, to: index + word.length };
    else unknown.to = index + word.length;
  }
  replaceUnknown();
  return shown + text.slice(done);
}
