import type net from "node:net";
import type { Duplex } from "node:stream";
import type { Address } from "./address.ts";
import type { Query } from "./driver.ts";
import { failingSocket } from "./held_socket.ts";
import { LinkError } from "./link_error.ts";
import { PooledStatements, transactionSettings } from "./pooled.ts";
import { watchUnits } from "./pooled_link.ts";
import { knownPooler, type Pooler, poolerOf } from "./pooler.ts";
import { type DriverOptions, pooledParameters, type SessionOptions } from "./session_settings.ts";

/** How the statements of a session reach PostgreSQL: directly, or through a pooler. */
export interface StatementRoute {
  run(query: Query, send: Send): void;
  /** The `socket` of postgres.js. */
  open(driver: DriverOptions): Promise<Duplex>;
  /** @param onBroken called when the state of the connection is unknown */
  onReady(socket: net.Socket, onBroken: (error: Error) => void): void;
}

type Send = (query: Query) => void;

/** @param onNoPooler called when the statements have failed since it isn't known whether there is a pooler */
export function createRoute(
  address: Address,
  options: SessionOptions,
  { open, onNoPooler }: { open: () => Promise<Duplex>; onNoPooler: () => void },
): StatementRoute {
  let pooler: Pooler | undefined;
  let pooled: PooledStatements | undefined;
  const waiting: Query[] = [];

  const found = (what: Pooler, send: Send) => {
    pooler = what;
    if (what.kind === "transaction") pooled = new PooledStatements(options, what.prepared, send);
  };
  const find = async (send: Send) => {
    try {
      found(await poolerOf(address), send);
      for (const query of waiting.splice(0)) route.run(query, send);
    } catch (error) {
      for (const query of waiting.splice(0)) query.reject(error);
      onNoPooler();
    }
  };
  const route: StatementRoute = {
    run(query, send) {
      if (pooler === undefined) {
        const known = knownPooler(address);
        if (known === undefined) {
          if (waiting.push(query) === 1) void find(send);
          return;
        }
        found(known, send);
      }
      if (pooled === undefined) send(query);
      else pooled.run(query);
    },
    async open(driver) {
      if (pooled === undefined) return await open();
      if (address.options !== undefined) {
        return failingSocket(
          new LinkError(
            "pooler_parameter",
            "options can't go through the pooler: set them with alter role … in database …",
          ),
        );
      }
      driver.connection = pooledParameters(address, options);
      return await open();
    },
    onReady(socket, onBroken) {
      pooled?.onReady(watchUnits(socket, transactionSettings(options), onBroken));
    },
  };
  return route;
}
