/** The limits of measurements. Decimals are text, which PostgreSQL compares. */
export interface AuditLimits {
  /** How much more than its inputs a lot may weigh, in percent of them. */
  readonly tolerancePercent: string;
  /** By lot type, in °C, inclusive. An absent type has no limits. */
  readonly temperatures: Readonly<Record<string, TemperatureRange>>;
}

export interface TemperatureRange {
  readonly least: string;
  readonly most: string;
}
