import type { Random } from "../../dev/random.ts";
import { type Draft, setHeader } from "./draft.ts";
import type { Mutation } from "./mutation.ts";
import {
  AUTHORIZATIONS,
  ETAGS,
  EXPECTATIONS,
  KEYS,
  LINES,
  OTHERS,
  TYPES,
} from "./header_values.ts";
import { listed } from "./listed.ts";

const pickLine = (random: Random): [string, string] => {
  const [name, values] = random.below(3) === 0
    ? random.pick(OTHERS as [typeof OTHERS[0], ...typeof OTHERS])
    : random.pick(LINES as [typeof LINES[0], ...typeof LINES]);
  return [name, random.pick(values as [string, ...string[]])];
};

/** Sets a header to one of some values. */
const header = (
  name: string,
  weight: number,
  values: readonly [string, ...string[]],
  of: Mutation["of"] = "any",
): Mutation => ({
  name: `${name} is odd`,
  stage: "headers",
  of,
  weight,
  apply: (draft, random) => setHeader(draft, name, random.pick(values)),
});

function respell(name: string, random: Random): string {
  return random.pick([
    name.toLowerCase(),
    name.toUpperCase(),
    [...name].map((c) => random.below(2) ? c.toUpperCase() : c.toLowerCase()).join(""),
  ]);
}

/** Mutations of the headers. */
export const ODD_HEADERS: readonly Mutation[] = [
  header("Content-Type", 6, TYPES, "body"),
  header("Idempotency-Key", 3, KEYS),
  header("If-None-Match", 3, ETAGS),
  header("Authorization", 3, AUTHORIZATIONS),
  header("Expect", 2, EXPECTATIONS),
  {
    name: "a validator that holds",
    stage: "headers",
    of: "trace",
    weight: 6,
    apply(draft, random, { validators }) {
      const { target, etag } = random.pick(validators);
      draft.target = target;
      const strong = etag.replace(/^W\//, "");
      const forms = [
        etag,
        etag,
        strong,
        `"a", ${etag}`,
        `${etag}, "a"`,
        `${etag},${etag}`,
        `  ${etag}  `,
        `"a" ${etag}`,
        etag.toLowerCase(),
        strong.slice(1, -1),
        `*, ${etag}`,
        `${etag};`,
        `W/${etag}`,
        `"a",,${etag}`,
        `,${etag}`,
        `${etag},`,
        `"a",\t${etag}`,
        `"a ,${etag}`,
        `${etag.slice(0, -1)}`,
        `"x${"y".repeat(5_000)}", ${etag}`,
        `'${etag}'`,
      ] as [string, ...string[]];
      setHeader(draft, "If-None-Match", random.pick(forms));
      if (random.below(4) === 0) draft.headers.push(["If-None-Match", random.pick(forms)]);
      if (random.below(4) === 0) {
        draft.headers.push([
          "Cache-Control",
          random.pick([
            "no-cache",
            "max-age=0",
            "No-Cache",
            'no-cache="x"',
            "x-no-cache",
            "private, no-cache",
          ]),
        ]);
      }
      if (random.below(5) === 0) {
        draft.headers.push([
          "If-Modified-Since",
          random.pick(["Mon, 19 Jan 2099 10:11:12 GMT", "Mon, 19 Jan 1999 10:11:12 GMT", "x"]),
        ]);
      }
      if (random.below(5) === 0) draft.method = "HEAD";
    },
  },
  {
    name: "no Content-Type",
    stage: "headers",
    of: "body",
    weight: 1,
    apply: (draft) => setHeader(draft, "Content-Type", undefined),
  },
  {
    name: "a header more",
    stage: "headers",
    of: "any",
    weight: 8,
    apply(draft, random) {
      const [name, values] = random.pick(OTHERS as [typeof OTHERS[0], ...typeof OTHERS]);
      draft.headers.push([name, random.pick(values as [string, ...string[]])]);
    },
  },
  {
    name: "a header twice, with two values",
    stage: "headers",
    of: "any",
    weight: 5,
    apply(draft, random) {
      const [name, value] = pickLine(random);
      const [, other] = [name, random.below(3) === 0 ? value : undefined];
      const values = [...LINES, ...OTHERS].find(([known]) => known === name)?.[1] ?? [value];
      const lines: Draft["headers"] = [
        [respell(name, random), value],
        [respell(name, random), other ?? random.pick(values as [string, ...string[]])],
      ];
      if (random.below(2)) draft.headers.unshift(...lines);
      else draft.headers.push(...lines);
    },
  },
  {
    name: "an unknown header twice",
    stage: "headers",
    of: "any",
    weight: 3,
    apply(draft, random) {
      const line = draft.headers[random.below(draft.headers.length)];
      if (line === undefined) return;
      const values = LINES.find(([known]) => known === line[0])?.[1];
      const value = values !== undefined && random.below(2) ? random.pick(values) : line[1];
      if (random.below(2)) draft.headers.push([respell(line[0], random), value]);
      else draft.headers.unshift([respell(line[0], random), value]);
    },
    mayBeRefused: true,
  },
  {
    name: "names in other letters, and in another order",
    stage: "headers",
    of: "any",
    weight: 2,
    apply(draft, random) {
      draft.headers = draft.headers.map((
        [name, value],
      ): [string, string] => [respell(name, random), value]).reverse();
    },
  },
  {
    name: "space around values",
    stage: "headers",
    of: "any",
    weight: 2,
    apply(draft, random) {
      const pad = () => random.pick(["", " ", "\t", "   ", " \t "]);
      draft.headers = draft.headers.map((
        [name, value],
      ): [string, string] => [name, pad() + value + pad()]);
    },
  },
  {
    name: "another Host",
    stage: "headers",
    of: "any",
    weight: 1,
    apply: (draft, random) =>
      setHeader(
        draft,
        "Host",
        random.pick([
          "a".repeat(300),
          ...listed(
            "localhost¦127.0.0.1:8080¦[::1]¦plant.example:99999¦PLANT.EXAMPLE¦plant.example.¦¦a,b¦" +
              "é¦a b¦user@plant.example¦plant.example/x¦*¦plant_example¦http://plant.example",
          ),
        ]),
      ),
    mayBeRefused: true,
  },
  {
    name: "many headers",
    stage: "headers",
    of: "any",
    weight: 1,
    apply(draft, random) {
      const count = random.pick([20, 99, 100, 101, 300, 900]);
      for (let i = 0; i < count; i++) draft.headers.push([`X-${i}`, "y"]);
    },
    mayBeRefused: true,
  },
  {
    name: "long headers",
    stage: "headers",
    of: "any",
    weight: 1,
    apply: (draft, random) =>
      setHeader(
        draft,
        random.pick([
          "X-Long",
          "Cookie",
          "User-Agent",
          "Accept",
          "Content-Type",
          "Idempotency-Key",
          "If-None-Match",
          "Origin",
        ]),
        "x".repeat(
          random.pick([1_000, 4_000, 8_000, 8_200, 12_000, 15_000, 15_900, 16_384, 20_000]),
        ),
      ),
    mayBeRefused: true,
  },
];
