/**
 * An invented but plausible week of a döner plant: three lines, every day from raw meat to boxes in
 * the cold store.
 *
 * @module
 */

import {
  type Input,
  type Lot,
  type LotPlan,
  MINUTE,
  type PlantBasis,
  PlantRecords,
  type Run,
} from "./plant_records.ts";
import { makeExampleBatch } from "./example_batch.ts";
import { Random } from "./random.ts";

const DAY = 24 * 60 * MINUTE;
const LINES = [
  { name: "DUNA", species: "beef", sku: "BD", cuts: ["chuck", "shoulder", "flank"] },
  { name: "TISZA", species: "chicken", sku: "CD", cuts: ["thigh", "breast"] },
  { name: "MAROS", species: "turkey", sku: "TD", cuts: ["thigh", "drumstick"] },
] as const;
type Line = typeof LINES[number];
/** A size of skewers. */
type Product = Line & { readonly kilograms: number };

const SUPPLIERS = {
  beef: ["Duna Hús Kft.", "Alföldi Marha Zrt.", "Bakony Beef Kft."],
  chicken: ["Tisza Baromfi Kft.", "Kiskun Csirke Zrt."],
  turkey: ["Maros Pulyka Kft.", "Hajdú Szárnyas Zrt."],
} as const;
const DELIVERIES_A_DAY = 5;
const BATCH_KG = 420;

/**
 * The production of the week that ends at `now`: six whole days, and today until now. The same
 * `now` and basis make the same records.
 */
export function producePlantWeek(basis: PlantBasis, now: Date): PlantRecords {
  const records = new PlantRecords(basis, new Random(20260118));
  const today = Math.floor(now.getTime() / DAY) * DAY;
  // The remains of one day are used in the next one's batches.
  const stock = {
    meat: new Map<string, Lot[]>(LINES.map(({ name }) => [name, []])),
    spice: [] as Lot[],
    oil: [] as Lot[],
  };
  for (let day = 0; day < 7; day++) {
    const midnight = today - (6 - day) * DAY;
    const runs = LINES.map((line) => openRun(records, line, midnight));
    const [first] = runs;
    if (first !== undefined) receiveAdditives(records, first, stock);
    LINES.forEach((line, index) => {
      const run = runs[index];
      if (run === undefined) return;
      const raw = receiveMeat(records, run, line);
      if (day === 2 && line.name === "DUNA") rejectDelivery(records, run);
      if (day === 3 && line.name === "TISZA") holdInUse(records, raw[0]);
      if (day === 5 && line.name === "DUNA") makeExampleBatch(records, run);
      const meat = stock.meat.get(line.name) ?? [];
      const tanks = buffer(records, run, debone(records, run, line, raw));
      meat.push(...tanks);
      mix(records, run, line, meat, stock.spice, stock.oil).forEach((batch, i) => {
        const isDoorOpen = day === 4 && line.name === "MAROS" && i === 0;
        const product = { ...line, kilograms: records.random.pick([20, 30, 40]) };
        const skewers = skewer(records, run, product, batch);
        pack(records, run, product, freeze(records, run, skewers, isDoorOpen));
      });
      if (day === 1 && line.name === "TISZA") mistypeWeight(tanks[0]);
    });
  }
  inspect(records);
  return upTo(records, now.getTime());
}

function openRun(records: PlantRecords, line: Line, midnight: number): Run {
  const date = new Date(midnight).toISOString().slice(0, 10);
  return records.openRun(date, line.name, midnight + 300 * MINUTE, midnight + 1320 * MINUTE);
}

function receiveAdditives(records: PlantRecords, run: Run, stock: { spice: Lot[]; oil: Lot[] }) {
  const additive = (material: string, supplier: string, minute: number): LotPlan => ({
    type: "RAW",
    run,
    at: run.startedAt + minute * MINUTE,
    temperature: [16, 21],
    metadata: { material, supplier, batch: supplierBatch(records), expires_on: dateIn(run, 360) },
  });
  stock.spice.push(records.receive(additive("döner spice", "Fűszermester Kft.", 4), 26_000));
  stock.oil.push(records.receive(additive("sunflower oil", "Napraforgó Zrt.", 7), 17_500));
}

function receiveMeat(records: PlantRecords, run: Run, line: Line): Lot[] {
  return Array.from({ length: DELIVERIES_A_DAY }, (_, i) => {
    const at = run.startedAt + (10 + i * 14 + records.random.between(0, 10)) * MINUTE;
    return records.receive(meatPlan(records, run, line, at), records.random.between(480e2, 660e2));
  });
}

function meatPlan(records: PlantRecords, run: Run, { species }: Line, at: number): LotPlan {
  return {
    type: "RAW",
    run,
    at,
    temperature: [0.4, 3.6],
    metadata: {
      supplier: records.random.pick(SUPPLIERS[species]),
      batch: supplierBatch(records),
      material: `${species}, bone in`,
      delivery_note: `SZ-${Math.floor(records.random.between(100_000, 999_999))}`,
      expires_on: dateIn(run, 9),
    },
  };
}

/** A delivery that arrived too warm: failed at the gate, and never used. */
function rejectDelivery(records: PlantRecords, run: Run): void {
  const plan = meatPlan(records, run, LINES[0], run.startedAt + 95 * MINUTE);
  const lot = records.receive({ ...plan, temperature: [9.1, 9.2] }, 512_40);
  const notes = "Core temperature 9.1 °C on arrival, limit 7 °C: returned to the supplier";
  records.decide(lot, "FAIL", lot.at + 6 * MINUTE, notes);
}

/** A laboratory result that came a day later, when the lot had long been made into products. */
function holdInUse(records: PlantRecords, lot: Lot | undefined): void {
  if (lot === undefined) return;
  const notes = "Laboratory: Salmonella suspected in the retained sample, confirmation pending";
  records.decide(lot, "PASS", lot.at + 5 * MINUTE);
  records.decide(lot, "HOLD", lot.at + DAY + 170 * MINUTE, notes);
}

/** A zero too many at the terminal: an audit finds it. */
function mistypeWeight(lot: Lot | undefined): void {
  if (lot !== undefined) lot.weight *= 10;
}

function debone(records: PlantRecords, run: Run, line: Line, raw: readonly Lot[]): Lot[] {
  return raw.flatMap((from) =>
    [0.5, 0.97].map((part, i) => {
      const quantity = i === 0 ? Math.floor(from.weight * part) : Math.floor(from.left * part);
      const at = from.at + (40 + i * 35 + records.random.between(0, 12)) * MINUTE;
      const metadata = { cut: records.random.pick(line.cuts), team: i + 1 };
      const plan: LotPlan = { type: "DEB", run, at, temperature: [2.1, 5.4], metadata };
      return records.make(plan, [[from, quantity]], records.random.between(0.73, 0.79));
    })
  );
}

function buffer(records: PlantRecords, run: Run, deboned: readonly Lot[]): Lot[] {
  const groups = [deboned.slice(0, 3), deboned.slice(3, 6), deboned.slice(6)];
  return groups.map((group, i) => {
    const inputs = group.map((lot): Input => [lot, lot.left - Math.floor(lot.left * 0.004)]);
    const at = lastOf(group) + records.random.between(31, 41) * MINUTE;
    const metadata = { tank: `${run.line}-T${i + 1}` };
    const plan: LotPlan = { type: "BULK", run, at, temperature: [0.6, 3.4], metadata };
    return records.make(plan, inputs, records.random.between(0.99, 0.998));
  });
}

function mix(
  records: PlantRecords,
  run: Run,
  line: Line,
  meat: Lot[],
  spice: Lot[],
  oil: Lot[],
): Lot[] {
  const batches: Lot[] = [];
  let free = run.startedAt;
  while (remaining(meat) >= BATCH_KG * 100) {
    const kilograms = BATCH_KG - Math.floor(records.random.between(0, 25));
    const inputs = [
      ...draw(meat, kilograms * 100),
      ...draw(spice, kilograms * 3),
      ...draw(oil, kilograms * 2),
    ];
    free = Math.max(free, lastOf(inputs.map(([lot]) => lot))) + 32 * MINUTE;
    const number = batches.length + 1;
    const metadata = { recipe: `DONER-${line.species.toUpperCase()}`, batch: number, minutes: 24 };
    const plan: LotPlan = { type: "MIX", run, at: free, temperature: [-0.8, 2.9], metadata };
    batches.push(records.make(plan, inputs, records.random.between(0.985, 0.996)));
  }
  return batches;
}

function skewer(records: PlantRecords, run: Run, product: Product, batch: Lot): Lot[] {
  const { sku, kilograms } = product;
  const skewers: Lot[] = [];
  for (let i = 0;; i++) {
    const quantity = Math.round(kilograms * 100 * records.random.between(1, 1.03));
    if (quantity > batch.left) return skewers;
    const at = batch.at + (31 + i * 3) * MINUTE;
    const metadata = { sku: `${sku}-${kilograms}`, nominal_kg: kilograms };
    const plan: LotPlan = { type: "SKW", run, at, temperature: [-1.5, 3.6], metadata };
    skewers.push(records.make(plan, [[batch, quantity]], records.random.between(0.985, 0.997)));
  }
}

/** @param isDoorOpen whether the first one was measured too warm: an audit finds it */
function freeze(
  records: PlantRecords,
  run: Run,
  skewers: readonly Lot[],
  isDoorOpen: boolean,
): Lot[] {
  return skewers.map((from, i) => {
    const minutes = Math.round(records.random.between(250, 300));
    const metadata = { freezer: records.random.pick(["F1", "F2", "F3"]), minutes };
    const at = from.at + minutes * MINUTE;
    const temperature = isDoorOpen && i === 0 ? [-16.4, -16.4] as const : [-24.5, -19.1] as const;
    const plan: LotPlan = { type: "FRZ", run, at, temperature, metadata };
    return records.make(plan, [[from, from.left]], records.random.between(0.986, 0.995));
  });
}

function pack(records: PlantRecords, run: Run, product: Product, frozen: readonly Lot[]): void {
  const { species, sku, kilograms } = product;
  const name = `${species[0]?.toUpperCase()}${species.slice(1)} döner, frozen, ${kilograms} kg`;
  for (let i = 0; i < frozen.length; i += 3) {
    const group = frozen.slice(i, i + 3);
    const metadata = {
      product: name,
      sku: `${sku}-${kilograms}`,
      pieces: group.length,
      pallet: `P${Math.floor(records.random.between(10_000, 99_999))}`,
      best_before: dateIn(run, 365),
    };
    const at = lastOf(group) + records.random.between(31, 50) * MINUTE;
    const plan: LotPlan = { type: "FG", run, at, temperature: [-23.5, -18.6], metadata };
    const inputs = group.map((lot): Input => [lot, lot.left]);
    records.make(plan, inputs, records.random.between(0.997, 0.9995));
  }
}

/**
 * The gates' decisions on every lot that has none yet. Skewers are sampled, since their gate is
 * informational.
 */
function inspect(records: PlantRecords): void {
  const { random } = records;
  const decided = new Set(records.decisions.map(({ lot }) => lot));
  for (const lot of records.lots) {
    if (decided.has(lot) || (lot.type === "SKW" && random.next() > 0.2)) continue;
    const at = lot.at + random.between(2, 6) * MINUTE;
    if (random.next() < 0.015) {
      records.decide(lot, "HOLD", at, random.pick(["Label unreadable", "Probe to be calibrated"]));
      // Released before its use: the next step comes half an hour later at least.
      records.decide(lot, "PASS", at + random.between(8, 20) * MINUTE, "Checked again");
    } else {
      records.decide(lot, "PASS", at);
    }
  }
}

/** The records as of a moment. They balance, since nothing is made from later lots. */
function upTo(records: PlantRecords, now: number): PlantRecords {
  const seen = new PlantRecords(records.basis, records.random);
  seen.runs.push(...records.runs.filter(({ startedAt }) => startedAt <= now));
  seen.lots.push(...records.lots.filter(({ at }) => at <= now));
  seen.links.push(...records.links.filter(({ child }) => child.at <= now));
  seen.decisions.push(...records.decisions.filter(({ at }) => at <= now));
  return seen;
}

/** Uses the oldest lots first. */
function draw(stock: Lot[], quantity: number): Input[] {
  const inputs: Input[] = [];
  for (let open = quantity; open > 0;) {
    const [oldest] = stock;
    if (oldest === undefined) throw new RangeError("The stock has run out");
    const taken = Math.min(open, oldest.left);
    inputs.push([oldest, taken]);
    open -= taken;
    // A lot that is used up here leaves the stock before the next draw.
    if (taken === oldest.left) stock.shift();
    else break;
  }
  return inputs;
}

function remaining(stock: readonly Lot[]): number {
  return stock.reduce((sum, lot) => sum + lot.left, 0);
}

function lastOf(lots: readonly Lot[]): number {
  return Math.max(...lots.map(({ at }) => at));
}

function supplierBatch(records: PlantRecords): string {
  return `L${Math.floor(records.random.between(10_000, 99_999))}`;
}

function dateIn(run: Run, days: number): string {
  return new Date(run.startedAt + days * DAY).toISOString().slice(0, 10);
}
