/*
 * A validator for PostgreSQL 18's OAuth (manual, "OAuth Validator Modules"): the token `good` is anna's, every other is nobody's.
 *
 * Compiled by the test without the server's headers, which no package of its programs has: the declarations are those of fmgr.h and
 * libpq/oauth.h, as far as they are used.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct magic {
    int len;
    int version;
    int funcmaxargs;
    int indexmaxkeys;
    int namedatalen;
    int float8byval;
    char abi_extra[32];
    const char *name;
    const char *module_version;
};

const struct magic *Pg_magic_func(void)
{
    static const struct magic magic = {sizeof(struct magic), 1800, 100, 32, 64, 1, "PostgreSQL", NULL, NULL};
    return &magic;
}

struct result {
    bool authorized;
    char *authn_id;
};

extern char *pstrdup(const char *text);

static bool validate(const void *state, const char *token, const char *role, struct result *result)
{
    (void)state;
    (void)role;
    result->authorized = strcmp(token, "good") == 0;
    result->authn_id = result->authorized ? pstrdup("anna") : NULL;
    return true;
}

struct callbacks {
    uint32_t magic;
    void (*startup)(void *state);
    void (*shutdown)(void *state);
    bool (*validate)(const void *state, const char *token, const char *role, struct result *result);
};

const struct callbacks *_PG_oauth_validator_module_init(void)
{
    static const struct callbacks callbacks = {0x20250220, NULL, NULL, validate};
    return &callbacks;
}
