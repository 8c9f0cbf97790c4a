/** How tools say that we may not do what they were told to. They call it being root, which root of a container is not. */
export const rightsMissing = /you must be root|Operation not permitted|Permission denied/;

/** A sentence without its final stop. */
export const rightsAdvice =
  'It takes CAP_NET_ADMIN, with iptables-legacy CAP_NET_RAW too; root of a container has only what it was given';
