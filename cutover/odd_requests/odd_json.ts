import type { Random } from "../../dev/random.ts";
import { listed } from "./listed.ts";
import { oddDecimal } from "./odd_decimal.ts";
import { oddText } from "./odd_text.ts";
import { anyOf, json, type OddValue, oneOf, padded, texts } from "./value.ts";

function deep(random: Random): string {
  const levels = random.pick([2, 5, 30, 31, 32, 33, 34, 64, 100, 500, 3_000]);
  const [open, close] = random.pick([["[", "]"], ['{"a":', "}"], ['[{"a":', "}]"]]);
  return `${open.repeat(levels)}1${close.repeat(levels)}`;
}

const scalar: OddValue = anyOf(
  oneOf(...listed(
    "null¦true¦false¦0¦-0¦1¦1.0¦1.10¦1e2¦1e400¦-1e400¦1e-400¦1e21¦1E+2¦" +
      "123456789012345678901234567890¦0.1",
  )),
  oddText,
);

const KEYS: [string, ...string[]] = [
  '"',
  ...listed(
    "a¦¦ ¦1¦0¦-1¦01¦4294967295¦4294967294¦__proto__¦constructor¦toString¦toJSON¦toPostgres¦" +
      "length¦é¦e\u0301¦👍¦\u0001¦a.b¦a b¦\\¦'¦$ref¦parentLots¦\ufeff¦z¦aa¦b",
  ),
];

function tree(random: Random, depth: number): string {
  if (depth === 0 || random.below(3) === 0) return scalar(random);
  const size = random.below(5);
  const space = random.pick(["", "", " ", "\n\t"]);
  if (random.below(2) === 0) {
    return `[${Array.from({ length: size }, () => space + tree(random, depth - 1)).join(",")}]`;
  }
  const field = () => {
    const key = random.below(12) === 0
      ? `"${random.pick(["\\u0000", "\\ud800", "\\u0061", "\\/", "a\\u0000", "\\udc00x"])}"`
      : json(random.pick(KEYS));
    return `${space}${key}${space}:${tree(random, depth - 1)}`;
  };
  return `{${Array.from({ length: size }, field).join(",")}}`;
}

/** Any JSON document. */
export const oddJson: OddValue = anyOf(
  (random) => tree(random, 3),
  (random) => tree(random, 3),
  (random) => tree(random, 2),
  // As text, which the old server parsed as a document.
  (random) => json(tree(random, 2)),
  (random) => json(tree(random, 1)),
  (random) => random.below(2) ? deep(random) : json(deep(random)),
  (random) => padded(() => tree(random, 1))(random),
  (random) => `{"a":${oddDecimal(random)}}`,
  (random) =>
    json(`{"a":${
      random.pick(listed(
        "1.0¦1.10¦1e400¦1e131072¦1e20000¦-0¦01¦NaN¦1e-20000¦12345678901234567890.123456789¦1E5¦" +
          "+1¦.5¦Infinity",
      ))
    }}`),
  texts(
    ...listed(
      "¦ ¦text¦null¦true¦1¦1.10¦[]¦{}¦[1]¦{'a':1}¦{a:1}¦[1,]¦\ufeff{}¦NaN¦Infinity¦undefined¦" +
        "//x\n{}¦'a'¦{¦[¦\u0000¦{}\u0000¦True¦nul¦1 2¦\u00a0{}¦\v{}",
    ),
    '{"a":1,}',
    '{"a":1}x',
    ' {"a":1} ',
    '{"a":"\\u0000"}',
    '{"a":"\\ud800"}',
    '{"a":"\\ud83d\\ude00"}',
    '{"a":1,"a":2}',
    '"a"',
    '{"a":"\t"}',
    '{"a":"\\x"}',
    '"\\ud800"',
    '["\\u0000"]',
  ),
  oneOf(
    "[]",
    "{}",
    "[[]]",
    "[{}]",
    "[null]",
    "[1]",
    '["a"]',
    '[""]',
    '["{}"]',
    "[[1],[2]]",
    '[{"a":1}]',
    "[true]",
    "[1,2]",
    "[[[]]]",
    '["a","b"]',
    '["\\u0000"]',
    '["\\ud800"]',
    '{"a":[]}',
    '{"a":1,"a":2}',
    '{"b":1,"a":2}',
    '{"2":1,"1":2}',
    '{"":1}',
    '{"__proto__":{"x":1}}',
    '{"toJSON":1}',
    '{"a":1e400}',
    '{"a":-0}',
    '{"a":1.0}',
    '{"a":1E400,"b":[1e309]}',
    '{"a":"\\u0000"}',
    '{"\\u0000":1}',
    '{"\\ud800":1}',
    '["[]"]',
    "[[],[]]",
    '[null,"a"]',
  ),
);

/** A value of any kind, for any field. */
export const oddAnything: OddValue = anyOf(
  oneOf(
    ...listed(
      "null¦true¦false¦0¦-0¦1¦1.0¦1e2¦[]¦{}¦[1]¦[null]¦[[1],[2]]¦[{}]¦[[]]¦[true]¦[[[]]]¦" +
        "1e400¦123456789012345678901",
    ),
    '""',
    '" "',
    '["a"]',
    '["a","b"]',
    '[""]',
    '["a,b"]',
    '["{"]',
    '["\\""]',
    '{"a":1}',
    '{"a":null}',
    '["NULL"]',
    '{"toString":null}',
    '{"__proto__":1}',
    '{"toPostgres":1}',
    '{"type":"Buffer","data":[1,2]}',
    '{"$ne":null}',
    '["\\u0000"]',
    '{"a":"\\u0000"}',
    '["\\ud800"]',
  ),
  oddText,
  oddDecimal,
  oddJson,
);
