import type { Random } from "../../dev/random.ts";
import { listed } from "./listed.ts";
import { oddDecimal } from "./odd_decimal.ts";
import { momentText } from "./odd_moment.ts";
import { anyOf, json, type OddValue, oneOf, padded, word } from "./value.ts";

/** Characters of every kind. */
const CHARACTERS: [string, ...string[]] = [
  '"',
  ...listed(
    "a¦Z¦0¦ ¦-¦_¦/¦\\¦'¦`¦;¦:¦,¦.¦%¦$1¦$$¦?¦&¦=¦#¦+¦<¦>¦{¦}¦[¦]¦(¦)¦|¦^¦~¦*¦@¦!¦\t¦\n¦\r¦" +
      "\r\n¦\v¦\f¦\u0001¦\b¦\u001b¦\u001f¦\u007f¦\u0080¦\u0085¦\u00a0¦\u00ad¦é¦e\u0301¦ő¦Ő¦ß¦" +
      "ẞ¦İ¦ı¦ſ¦K¦ﬁ¦Ǆ¦Æ¦я¦Ω¦Ω¦א¦ا¦\u202e¦\u202d¦\u2066¦\u200b¦\u200c¦\u200d¦\u2028¦\u2029¦" +
      "\u2060¦\ufeff¦\ufffd¦\ufffe¦\uffff¦中¦か\u3099¦が¦각¦각¦ก็¦👍¦👨\u200d👩\u200d👧¦🇭🇺¦𝒳¦" +
      "𐍈¦𝄞¦\u{1ffff}¦\u{10ffff}¦\u{e0001}¦\u{f0000}¦\ue000¦å¦Å¦１¦٣¦½¦€¦\u2026",
  ),
];

const SENTENCES: [string, ...string[]] = [
  '{"a":1}',
  '"quoted"',
  ...listed(
    "¦ ¦  ¦ok¦ ok ¦null¦NULL¦true¦undefined¦NaN¦0¦-1¦1e5¦{}¦[]¦\\¦\\\\¦\\0¦\\u0000¦\\x00¦" +
      "%00¦%¦%s%n¦'; drop table lots; --¦$1¦${x}¦{{x}}¦<script>alert(1)</script>¦" +
      "../../etc/passwd¦__proto__¦constructor¦toString¦hasOwnProperty¦é¦e\u0301¦İstanbul¦ΑΣ¦" +
      "straße¦\u202egnp¦zero\u200bwidth¦\ufeffbom¦bom\ufeff¦line\nbreak¦carriage\rreturn¦" +
      "tab\t¦\u0000¦a\u0000b¦\u0000a¦a\u0000¦\u0001¦\u007f¦\u0080¦👍¦{a,b}¦{NULL}¦ROW(1)¦" +
      "default¦DEFAULT¦2026-01-19¦PASS¦RAW¦E'\\n'¦U&'\\0061'",
  ),
];

const LENGTHS = [
  63,
  64,
  127,
  128,
  255,
  256,
  649,
  650,
  651,
  1_000,
  2_599,
  2_600,
  2_601,
  2_690,
  2_700,
  2_712,
  2_713,
  4_000,
  8_191,
  20_000,
  49_999,
  50_000,
  50_001,
  65_536,
  90_000,
  99_000,
  102_000,
] as [number, ...number[]];

/** A text of this many characters that doesn't compress in an index. */
function noise(random: Random, length: number): string {
  return word(
    random,
    "0123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz-_",
    length,
    length,
  );
}

const halfPair = (random: Random) =>
  random.pick([
    "\\ud800",
    "\\udfff",
    "\\ude00\\ud83d",
    "\\ud83d",
    "a\\udc00b",
    "\\ud83d\\u0041",
    "\\uD83D\\uD83D\\uDE00",
  ]);

/** Any text. */
export const oddText: OddValue = anyOf(
  (random) => json(random.pick(SENTENCES)),
  (random) => json(random.pick(SENTENCES)),
  (random) =>
    json(Array.from({ length: 1 + random.below(6) }, () => random.pick(CHARACTERS)).join("")),
  (random) =>
    json(Array.from({ length: 1 + random.below(6) }, () => random.pick(CHARACTERS)).join("")),
  padded((random) => random.pick(SENTENCES)),
  (random) =>
    json(
      random.pick(["a", "é", "中", "👍", " ", "\\", '"', "\n"]).repeat(random.pick(LENGTHS) / 4),
    ),
  (random) => json(random.pick(["a", "é", "x "]).repeat(random.pick(LENGTHS))),
  (random) => json(noise(random, random.pick(LENGTHS))),
  (random) => `"${halfPair(random)}"`,
  (random) =>
    `"${
      random.pick([
        "\\u0041",
        "\\u00e9",
        "\\ud83d\\ude00",
        "\\/",
        "\\b\\f\\n\\r\\t",
        "\\u0000",
        "\\u001F",
        "\\u007f",
        "\\uFFFF",
      ])
    }"`,
  (random) => json(String.fromCodePoint(1 + random.below(0xd7fe))),
  (random) => json(String.fromCodePoint(0xe000 + random.below(0x10ffff - 0xe000))),
  (random) => oddDecimal(random),
  (random) => json(momentText(random)),
);

/** A value of a list of words, or a similar one. */
export const oddWord = (...words: [string, ...string[]]): OddValue =>
  anyOf(
    (random) => json(random.pick(words)),
    (random) => json(random.pick(words).toLowerCase()),
    padded((random) => random.pick(words)),
    (random) => {
      const chosen = random.pick(words);
      return json(random.pick([
        `${chosen}${random.pick(CHARACTERS)}`,
        `${random.pick(CHARACTERS)}${chosen}`,
        chosen.slice(1),
        chosen + chosen,
        chosen.replace("A", "А"),
        chosen.replace("S", "ſ"),
        chosen.replace("R", "Ｒ"),
        `'${chosen}'`,
        `${chosen}\u0000`,
      ]));
    },
    (random) =>
      `"${
        random.pick(words).replace(/^./, (first) => `\\u00${first.charCodeAt(0).toString(16)}`)
      }"`,
    oneOf("null", '""', "0", "1", "true", "[]", "{}", '["RAW"]', '["PASS"]', '{"a":"PASS"}'),
  );
