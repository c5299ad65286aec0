import { selectLackingRights } from "../db/held_rights.ts";
import { oneRow } from "../db/one_row.ts";
import { problem } from "../db/problems.ts";
import { queryWithDeadline } from "../db/query_deadline.ts";
import { API_RIGHTS, WORKER_RIGHTS } from "../db/rights.ts";
import type { DatabaseCheck } from "./checks.ts";
import { failure, ok } from "./findings.ts";

/** What the user of DATABASE_URL lacks, as the API or, without the API's settings, as the worker. */
export const rights: DatabaseCheck = {
  name: "rights",
  needs: "schema",
  async run({ sql, settings }) {
    const [program, needed] = settings.isOfApi
      ? ["the API", API_RIGHTS] as const
      : ["the worker", WORKER_RIGHTS] as const;
    const { lacking } = oneRow(await queryWithDeadline(sql, selectLackingRights(sql, needed)));
    if (lacking.length === 0) return [ok("rights", `The database's user has ${program}'s rights`)];
    return [
      failure(
        "rights",
        `The database's user lacks rights that ${program} needs: ${lacking.join(", ")}`,
        problem("no_right").todo,
      ),
    ];
  },
};
