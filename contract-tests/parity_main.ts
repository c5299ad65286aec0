import { parseArgs } from "node:util";
import postgres from "postgres";
import { loadApprovals } from "../parity/approvals.ts";
import { passed, record, verify } from "./parity.ts";
import { formatEvidence, formatReport } from "./parity_report.ts";
import { formatRecordings, loadRecordings } from "./recordings.ts";
import { listTablesWithOtherRows, loadSeed } from "./seed.ts";

const USAGE =
  `Compares a running server with the recorded old one. Needs BASE, the server's address,
and DATABASE_URL, the database that it works on: its tables are emptied again and again.

  deno task parity verify [--no-approvals]   checks the answers; exit status 1 if any is wrong
  deno task parity report [--no-approvals]   the same, as evidence in Markdown
  deno task parity record OUT.json           writes the server's own answers to a file

  --yes-wipe-this-database   also where it holds other rows than the seed's
`;

async function main(args: string[]): Promise<number> {
  const { mode, out, approve, wipe } = parseCommand(args);
  const [base, databaseUrl] = [Deno.env.get("BASE"), Deno.env.get("DATABASE_URL")];
  if (mode === undefined || !base || !databaseUrl) {
    console.error(USAGE);
    return 2;
  }
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => {} });
  try {
    const seed = await loadSeed();
    const foreign = await listTablesWithOtherRows(sql, seed);
    if (foreign.length > 0 && !wipe) {
      console.error(
        `This database holds rows of its own (in ${foreign.join(", ")}), and this check would ` +
          "delete them all. Name another one in DATABASE_URL, or add --yes-wipe-this-database.",
      );
      return 2;
    }
    const recordings = await loadRecordings();
    const subject = { base, sql, seed };
    if (mode === "record") {
      const recorded = await record(subject, recordings.scenarios);
      await Deno.writeTextFile(out, formatRecordings(recorded));
      console.log(`${recorded.scenarios.length} scenarios recorded in ${out}`);
      return 0;
    }
    const report = await verify(subject, recordings, approve ? await loadApprovals() : []);
    const text = mode === "report"
      ? formatEvidence(report, base, new Date())
      : formatReport(report);
    console.log(text);
    return passed(report) ? 0 : 1;
  } finally {
    await sql.end();
  }
}

interface Command {
  /** Undefined when the arguments make no sense. */
  mode: "record" | "verify" | "report" | undefined;
  /** The file to write, for `record`. */
  out: string;
  approve: boolean;
  wipe: boolean;
}

function parseCommand(args: string[]): Command {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        "no-approvals": { type: "boolean" },
        "yes-wipe-this-database": { type: "boolean" },
      },
    });
    const [name, out = "", ...more] = positionals;
    const known = name === "record" || name === "verify" || name === "report";
    const fits = known && more.length === 0 && (name === "record") === (out !== "");
    return {
      mode: fits ? name : undefined,
      out,
      approve: !values["no-approvals"],
      wipe: values["yes-wipe-this-database"] ?? false,
    };
  } catch {
    return { mode: undefined, out: "", approve: true, wipe: false };
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
