import type { Random } from "../../dev/random.ts";
import { type Draft, keyText, setField } from "./draft.ts";
import type { Mutation } from "./mutation.ts";
import type { Plant } from "./plant.ts";
import { oddDecimal } from "./odd_decimal.ts";
import { oddAnything, oddJson } from "./odd_json.ts";
import { oddMoment } from "./odd_moment.ts";
import { oddText, oddWord } from "./odd_text.ts";
import { oddUuid } from "./odd_uuid.ts";
import type { OddValue } from "./value.ts";
import { listed } from "./listed.ts";

type ValueOf = (plant: Plant) => OddValue;

const decision = oddWord("PASS", "HOLD", "FAIL");
const lotType = oddWord("RAW", "DEB", "BULK", "MIX", "SKW", "FRZ", "FG");
const knownText =
  (names: (plant: Plant) => readonly [string, ...string[]]): ValueOf => (plant) => (random) => {
    const name = random.pick(names(plant));
    return random.pick([
      oddText,
      oddText,
      () => JSON.stringify(name.toUpperCase()),
      () => JSON.stringify(name.toLowerCase()),
      () => JSON.stringify(` ${name}`),
      () => JSON.stringify(`${name} `),
      () => JSON.stringify(`${name}\u0000`),
      () => JSON.stringify([name]),
      () => JSON.stringify([[name]]),
      () => JSON.stringify([name, "\u0000"]),
      () => JSON.stringify({ email: name }),
      () => JSON.stringify({ $eq: name }),
      () => JSON.stringify(name.normalize("NFD")),
      () => JSON.stringify(name),
    ] as [OddValue, ...OddValue[]])(random);
  };

const FIELDS: Record<Draft["operation"], Record<string, ValueOf>> = {
  getHealth: {},
  getTraceability: {},
  login: { email: knownText(({ emails }) => emails), password: () => oddText },
  createLot: {
    id: ({ lots }) => oddUuid(lots),
    lot_code: knownText(({ lotCodes }) => lotCodes),
    lot_type: () => lotType,
    production_run_id: ({ runs }) => oddUuid(runs),
    phase_id: ({ phases }) => oddUuid(phases),
    operator_id: ({ operators }) => oddUuid(operators),
    weight_kg: () => oddDecimal,
    temperature_c: () => oddDecimal,
    metadata: () => oddJson,
    created_at: () => oddMoment,
  },
  createQcDecision: {
    id: ({ lots }) => oddUuid(lots),
    lot_id: ({ lots }) => oddUuid(lots),
    qc_gate_id: ({ gates }) => oddUuid(gates),
    operator_id: ({ operators }) => oddUuid(operators),
    decision: () => decision,
    notes: () => oddText,
    temperature_c: () => oddDecimal,
    digital_signature: () => oddText,
    decided_at: () => oddMoment,
  },
};

const pickField = (draft: Draft, random: Random): string =>
  random.pick(Object.keys(FIELDS[draft.operation]) as [string, ...string[]]);

const OTHER_KEYS: [string, ...string[]] = [
  '"',
  '""',
  ...listed(
    "a¦¦0¦1¦lotCode¦lot-code¦lot_codes¦weight¦created¦updated_at¦select¦user¦order¦group¦" +
      "ctid¦xmin¦tableoid¦oid¦length¦__proto__¦constructor¦toString¦toJSON¦prototype¦é¦👍¦" +
      "a b¦a.b¦$1¦a,b¦a)¦(a¦--¦/*¦*/¦;¦'¦\\¦\n¦\t¦\u00a0¦\u200b¦\u0001¦*¦lots.id¦email¦" +
      "password¦role¦notes¦decision¦metadata¦id¦created_at¦true¦null¦1a¦a$¦A¦_¦a\u0000",
  ),
];

/** Spellings of a column's name that PostgreSQL reads as that column, and similar ones. */
function sqlSpelling(key: string, random: Random): string {
  return random.pick([
    key.toUpperCase(),
    key.replace(/^./, (first) => first.toUpperCase()),
    `"${key}"`,
    `"${key.toUpperCase()}"`,
    ` ${key}`,
    `${key} `,
    `\t${key}\n`,
    `${key}\u00a0`,
    `${key}/**/`,
    `/* x */${key}`,
    `${key}--`,
    `${key} -- x`,
    `U&"${key}"`,
    `U&"\\006${key.charCodeAt(0).toString(16).slice(-1)}${key.slice(1)}"`,
    `lots.${key}`,
    `public.lots.${key}`,
    `${key}[1]`,
    `${key}.a`,
    `(${key})`,
    `${key},`,
    `,${key}`,
    key.replace("_", "__"),
    key.replaceAll("_", ""),
    key.replace("_", "-"),
    `${key}\u0000`,
    `\ufeff${key}`,
    key.replace("i", "ı").replace("o", "о"),
    `${key}) OVERRIDING USER VALUE (`,
    `${key}, metadata`,
  ]);
}

/** Mutations of the fields of a JSON body. */
export const ODD_FIELDS: readonly Mutation[] = [
  {
    name: "an odd value of its kind",
    stage: "fields",
    of: "body",
    weight: 40,
    apply(draft, random, plant) {
      const key = pickField(draft, random);
      const value = FIELDS[draft.operation][key];
      if (value !== undefined) setField(draft, key, value(plant)(random));
    },
  },
  {
    name: "a value of any kind",
    stage: "fields",
    of: "body",
    weight: 12,
    apply(draft, random) {
      setField(draft, pickField(draft, random), oddAnything(random));
    },
  },
  {
    name: "a field less",
    stage: "fields",
    of: "body",
    weight: 2,
    apply(draft, random) {
      const gone = random.below(draft.fields.length + 1);
      draft.fields = draft.fields.filter((_, at) => at !== gone);
    },
  },
  {
    name: "no fields",
    stage: "fields",
    of: "body",
    weight: 1,
    apply(draft) {
      draft.document = "{}";
    },
  },
  {
    name: "a field more",
    stage: "fields",
    of: "body",
    weight: 3,
    apply(draft, random) {
      const key = random.pick(OTHER_KEYS);
      const at = random.below(draft.fields.length + 1);
      draft.fields.splice(at, 0, [keyText(key), oddAnything(random)]);
    },
  },
  {
    name: "a key as SQL may spell it",
    stage: "fields",
    of: "body",
    weight: 3,
    apply(draft, random) {
      const at = random.below(draft.fields.length);
      const field = draft.fields[at];
      if (field === undefined) return;
      const key: string = JSON.parse(field[0]);
      const spelled = keyText(sqlSpelling(key, random));
      if (random.below(4) === 0) draft.fields.push([spelled, field[1]]);
      else draft.fields[at] = [spelled, field[1]];
    },
  },
  {
    name: "a key written with escapes",
    stage: "fields",
    of: "body",
    weight: 2,
    apply(draft, random) {
      const at = random.below(draft.fields.length);
      const field = draft.fields[at];
      if (field === undefined) return;
      const key: string = JSON.parse(field[0]);
      const place = random.below(key.length);
      const escape = random.pick([
        `\\u${key.charCodeAt(place).toString(16).padStart(4, "0")}`,
        "\\ud800",
        "\\u0000",
        "\\udc00x",
      ]);
      draft.fields[at] = [`"${key.slice(0, place)}${escape}${key.slice(place + 1)}"`, field[1]];
    },
  },
  {
    name: "the same key twice",
    stage: "fields",
    of: "body",
    weight: 3,
    apply(draft, random, plant) {
      const key = pickField(draft, random);
      const value = FIELDS[draft.operation][key]?.(plant)(random) ?? "1";
      if (random.below(2) === 0) draft.fields.unshift([keyText(key), value]);
      else draft.fields.push([keyText(key), value]);
    },
  },
  {
    name: "fields in another order",
    stage: "fields",
    of: "body",
    weight: 1,
    apply(draft, random) {
      draft.fields = draft.fields.map((field) => ({ field, at: random.next() }))
        .sort((a, b) => a.at - b.at).map(({ field }) => field);
    },
  },
  {
    name: "an id or a code that is taken",
    stage: "fields",
    of: "body",
    weight: 2,
    apply(draft, random, plant) {
      if (draft.operation === "login") return;
      const key = draft.operation === "createLot" ? random.pick(["id", "lot_code"]) : "id";
      const names = key === "id" ? plant.lots : plant.lotCodes;
      const taken = draft.operation === "createQcDecision"
        ? "00000000-0000-4000-8000-000000970001"
        : random.pick(names);
      setField(draft, key, JSON.stringify(taken));
    },
  },
];
