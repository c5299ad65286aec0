import type { Random } from "../../dev/random.ts";
import type { Draft } from "./draft.ts";
import type { Mutation } from "./mutation.ts";
import { oddAnything, oddJson } from "./odd_json.ts";
import { listed } from "./listed.ts";

const textOf = ({ fields, document }: Draft) =>
  document ?? `{${fields.map(([key, value]) => `${key}:${value}`).join(",")}}`;

const SPACE = listed(
  "¦ ¦\t¦\n¦\r\n¦  \n\t¦\v¦\f¦\u00a0¦\ufeff¦\u2028¦\u0000¦\ufeff\ufeff¦/**/¦//\n¦)]}',\n¦" +
    "\u001e",
);

const WHOLE: [string, ...string[]] = [
  '"text"',
  '""',
  '{"a"}',
  '{"a":}',
  '{"a":1,}',
  '{"a":+1}',
  '{"a":.5}',
  '{"a":1.}',
  '{"a":0x10}',
  '{"a":1e}',
  '{"a":NaN}',
  '{"a":Infinity}',
  '{"a":True}',
  '{"a":undefined}',
  '{"a":"\t"}',
  '{"a":"\n"}',
  '{"a":"\\x"}',
  '{"a":"\\u12"}',
  '{"a":"',
  '{"a":1//x\n}',
  '{"a":1/**/}',
  '"\\ud800"',
  '["lot_code","X"]',
  '[{"lot_code":"X"}]',
  '[{"email":"admin@flowviz.com"}]',
  '{"__proto__":{"lot_code":"X","email":"admin@flowviz.com"}}',
  '{"":""}',
  '{"0":"a"}',
  ...listed(
    "¦ ¦null¦true¦false¦0¦1¦-¦[]¦{}¦ {} ¦[{}]¦[[]]¦[null]¦{¦}¦[¦{a}¦{a¦{'a':1}¦{a:1}¦[1,]¦" +
      "[,]¦{,}¦{}{}¦{} {}¦[] []¦{}x¦{}\u0000¦\u0000¦NaN¦undefined¦Infinity¦<xml/>¦a=b¦" +
      'email=admin%40flowviz.com¦lot_code=X¦--boundary¦{"a":01}¦{\u00a0}¦{\ufeff}¦{\v}¦' +
      "{\u2028}",
  ),
];

/** Replaces the text of a body. */
const rewrite = (
  name: string,
  weight: number,
  change: (text: string, random: Random) => string,
): Mutation => ({
  name,
  stage: "document",
  of: "body",
  weight,
  apply(draft, random) {
    draft.document = change(textOf(draft), random);
  },
});

/** Mutations of a body's text, whatever its fields are. */
export const ODD_DOCUMENTS: readonly Mutation[] = [
  rewrite("another document", 3, (_, random) => random.pick(WHOLE)),
  rewrite(
    "any JSON as the document",
    2,
    (_, random) => random.below(2) ? oddJson(random) : oddAnything(random),
  ),
  rewrite("space before", 1, (text, random) => random.pick(SPACE) + text),
  rewrite("space behind", 1, (text, random) => text + random.pick(SPACE)),
  rewrite("space between", 1, (text, random) => text.replaceAll(",", `,${random.pick(SPACE)}`)),
  rewrite("a letter more, less or another", 3, (text, random) => {
    const at = random.below(text.length + 1);
    const letter = random.pick([
      '"',
      ...listed(
        "{¦}¦[¦]¦,¦:¦\\¦0¦-¦.¦e¦\u0000¦\t¦\n¦ ¦a¦é¦\ufeff¦\u2028¦'¦/¦\u001f¦\u007f¦👍",
      ),
    ]);
    return text.slice(0, at) + (random.below(3) ? letter : "") + text.slice(at + random.below(2));
  }),
  rewrite("cut short", 1, (text, random) => text.slice(0, random.below(text.length + 1))),
  rewrite(
    "a list around it",
    1,
    (text, random) =>
      random.pick([
        `[${text}]`,
        `[[${text}]]`,
        `{"a":${text}}`,
        `"${text}"`,
        JSON.stringify(text),
        `[${text},${text}]`,
      ]),
  ),
  rewrite("a trailing comma", 1, (text) => text.replace(/\}$/, ",}")),
  rewrite("as long as may be, or a little longer", 2, (text, random) => {
    const length = random.pick([
      102_399,
      102_400,
      102_401,
      102_500,
      65_536,
      131_071,
      131_072,
      131_073,
      140_000,
      300_000,
    ]);
    const rest = Math.max(0, length - new TextEncoder().encode(text).length);
    return random.pick([
      () => text + " ".repeat(rest),
      () => " ".repeat(rest) + text,
      () => text.replace(/\}$/, `,"${"a".repeat(Math.max(0, rest - 5))}":1}`),
    ])();
  }),
  rewrite(
    "all characters as escapes",
    1,
    (text) =>
      text.replaceAll(
        /"((?:[^"\\]|\\.)*)"/gs,
        (_, inner: string) =>
          `"${
            inner.replaceAll(/\\u[0-9a-fA-F]{4}|\\.|./gs, (c) =>
              c.startsWith("\\")
                ? c
                : [...Array(c.length).keys()].map((i) =>
                  `\\u${c.charCodeAt(i).toString(16).padStart(4, "0")}`
                ).join(""))
          }"`,
      ),
  ),
  rewrite(
    "letters of another case",
    1,
    (text, random) =>
      random.below(2) ? text.toUpperCase() : text.replace("null", "Null").replace("true", "TRUE"),
  ),
];
