/** What is wrong with a user's object, and what was done about it. Nobody throws on one. */
export interface Warning {
  /** Kind and namespaced name, for instance `Service default/web`. */
  readonly object: string;
  /** Path of the field, for instance `spec.ports[0].nodePort`. */
  readonly field: string;
  /** A stable word for programs, CamelCase as the reasons of Kubernetes Events. */
  readonly reason: string;
  /** What was seen, what was expected, what happens now. */
  readonly message: string;
}
