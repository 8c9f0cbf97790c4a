/** How one resource is doing. */
export interface ResourceStatus {
  /** A complete list was read once; what is known is at most as old as `lastEventAt`. */
  readonly isSynced: boolean;
  /** The resourceVersion that is known completely. */
  readonly version?: string;
  /** When the server last sent anything, in the clock's milliseconds. */
  readonly lastEventAt?: number;
  /** Why it does not work at present. */
  readonly lastError?: string;
  /** Complete lists read, by either way. */
  readonly lists: number;
  /** Objects received by list or event, also those that changed nothing. */
  readonly events: number;
  readonly objects: number;
}
