/**
 * A stand-in for the old server, to compare with: Express 4 and pg, five routes, its faults kept on
 * purpose. README.md beside this file says why it must never leave this machine.
 *
 * @module
 */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
// @ts-types="@types/cors"
import cors from "cors";
// @ts-types="@types/express"
import express from "express";
// @ts-types="@types/pg"
import pg from "pg";
import { connectionOf } from "./connection.ts";

/** How the stand-in is started. */
interface LegacyOptions {
  /** A PostgreSQL connection string. */
  databaseUrl: string;
  /** TCP port; 0 takes any free one. */
  port: number;
  /** Of its sessions; what PostgreSQL gives them unless given. */
  timeZone?: string | undefined;
  /** Handlers before the routes, such as compression; none unless given. */
  before?: readonly express.RequestHandler[];
}

/** A running stand-in. Disposing ends open connections to clients and to the database. */
export interface LegacyServer extends AsyncDisposable {
  /** Its base address, such as `http://127.0.0.1:3001`, without a slash at the end. */
  url: string;
}

/** Starts the stand-in, on loopback only: it runs SQL that its clients send. */
export async function startLegacy(options: LegacyOptions): Promise<LegacyServer> {
  const { databaseUrl, port, timeZone, before = [] } = options;
  const pool = new pg.Pool(connectionOf(databaseUrl, timeZone));
  // Without a listener, an idle connection that PostgreSQL ends would end this process too.
  pool.on("error", (error) => console.error(`Lost a database connection: ${error.message}`));

  const server = createServer(createLegacyApp(pool, before));
  // Node executes a request whose client has closed its side; Deno's server drops it by default.
  Object.assign(server, { httpAllowHalfOpen: true });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");

  return {
    url: baseUrl(server.address()),
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
      await pool.end();
    },
  };
}

/** The old server's routes on a pool of connections to its database. */
function createLegacyApp(
  pool: pg.Pool,
  before: readonly express.RequestHandler[],
): express.Express {
  const app = express();
  // Every environment but "production" shows stack traces in error pages, as the old server did;
  // "test" is the one in which Express doesn't also print each of them.
  app.set("env", "test");
  for (const handler of before) app.use(handler);
  app.use(cors());
  app.use(express.json());
  // Node reads the rest of a body that no handler has read. Deno's server would close the connection, on
  // which a gateway may have sent the next request already.
  app.use((request, _response, next) => {
    request.resume();
    next();
  });

  app.get("/api/health", (_request, response) => {
    response.json({ status: "ok", timestamp: new Date().toISOString() });
  });

  app.post("/api/login", (request, response) =>
    respond(response, async () => {
      const { rows } = await pool.query("SELECT * FROM users WHERE email = $1", [
        request.body.email,
      ]);
      if (rows.length === 0) return response.status(401).json({ error: "User not found" });
      return response.json({ user: rows[0], token: "mock-jwt-token-for-mode-c" });
    }));

  app.get("/api/traceability/:lotCode", (request, response) =>
    respond(response, async () => {
      const { rows } = await pool.query("SELECT * FROM lots WHERE lot_code = $1", [
        request.params.lotCode,
      ]);
      const central = rows[0];
      if (!central) return response.status(404).json({ error: "Lot not found" });
      const parents = await pool.query(PARENTS, [central.id]);
      const children = await pool.query(CHILDREN, [central.id]);
      return response.json({ central, parents: parents.rows, children: children.rows });
    }));

  app.post("/api/lots", (request, response) =>
    respond(response, async () => {
      response.status(201).json(await insertWhateverIsNamed(pool, "lots", request.body));
    }));

  app.post("/api/qc-decisions", (request, response) =>
    respond(response, async () => {
      response.status(201).json(await insertWhateverIsNamed(pool, "qc_decisions", request.body));
    }));

  return app;
}

const PARENTS = `SELECT l.* FROM lot_genealogy g
  JOIN lots l ON l.id = g.parent_lot_id WHERE g.child_lot_id = $1`;
const CHILDREN = `SELECT l.* FROM lot_genealogy g
  JOIN lots l ON l.id = g.child_lot_id WHERE g.parent_lot_id = $1`;

/**
 * The old server's fault: the client's keys become part of the statement, so they can be SQL.
 * The line break before VALUES is recorded behaviour too: a comment in a key can't hide that line.
 */
async function insertWhateverIsNamed(pool: pg.Pool, table: string, body: object): Promise<unknown> {
  const columns = Object.keys(body);
  const places = columns.map((_, i) => `$${i + 1}`);
  const { rows } = await pool.query(
    `INSERT INTO ${table} (${columns.join(", ")})
     VALUES (${places.join(", ")}) RETURNING *`,
    Object.values(body),
  );
  return rows[0];
}

/** The old server's other fault: the database's error messages go to the client. */
async function respond(response: express.Response, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    response.status(500).json({ error: error instanceof Error ? error.message : String(error) });
  }
}

function baseUrl(address: AddressInfo | string | null): string {
  if (address === null || typeof address === "string") throw new Error("The stand-in has no port");
  return `http://${address.address}:${address.port}`;
}
