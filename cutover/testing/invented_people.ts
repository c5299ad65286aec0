import { PSEUDONYM_FORM } from "../redact/pseudonyms.ts";

/** Invented personal data as it may stand in any field, in Latin, Cyrillic and Chinese letters. */
export const PERSONAL: readonly string[] = [
  "Zsófia Várkonyi",
  "Horatio Blenkinsop",
  "Аркадий Незабудкин",
  "欧阳晓明",
  "horatio.blenkinsop@example.net",
  "zsófia.várkonyi@üzem.example",
  "почта@незабудкин.example",
  '"sofia v"@[192.0.2.77]',
  "+36 30 555 0199",
  "0630-555-0199",
  "(020) 7946-0958",
  "７９４６０９５８",
  "17 Quimby Crescent, Wexhampton WX9 4QZ",
  "Ненастная улица, д. 84, кв. 193",
  "幸福路一百八十四号",
  "Blenkinsop phoned at noon; his wife Philippa is in labour",
  "Незабудкин заболел, звонить жене",
  "欧阳今天请假",
  "hunter2-Blenkinsop!",
  "eyJhbGciOiJub25lIn0.eyJzdWIiOiJIb3JhdGlvIn0.c2lnbmF0dXJl",
  "BLENKINSOP-HORATIO",
  "1974-Blenkinsop-31",
  "AB123456C",
  "198.51.100.23",
];

/** Parts that may stand in the places of numbers: telephone numbers. */
export const PERSONAL_NUMBERS: readonly string[] = [
  "36305550199",
  "0.36305550199",
  "3.630555019e10",
];

const PSEUDONYMS = new RegExp(PSEUDONYM_FORM, "g");

/** What of some personal data stands in a text, also escaped, in parts, or in other letters. */
export function personalIn(text: string, personal: string): string[] {
  const shown = text.replaceAll(PSEUDONYMS, "");
  const parts = [personal, ...personal.split(/[\s",;@.()[\]-]+/)].filter((part) =>
    // Shorter parts stand everywhere.
    part.length > 2 || /[^\x00-\x7f]/.test(part)
  );
  return parts.flatMap((part) => [
    part,
    JSON.stringify(part).slice(1, -1),
    encodeURIComponent(part),
    part.toLowerCase(),
  ]).filter((spelled) => spelled !== "" && shown.includes(spelled));
}
