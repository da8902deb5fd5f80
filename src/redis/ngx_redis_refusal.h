
/*
 * Copyright (C) The Optcache authors
 */


/*
 * Redis answers, and refuses what it is asked to do: its memory is full, a
 * right was taken away, a key is of another type.  That may be so for some of
 * the questions and not for others, which come by turns; so a beginning is told
 * once, and an end when nothing was refused for a while: twice as long as it took
 * from one refusal to the next while others were answered.  Without a clock: time
 * is an argument.
 *
 * Each worker logs its own.  When something was refused last is known to all of
 * the host, if they share a word for it.
 */


#ifndef _NGX_REDIS_REFUSAL_H_INCLUDED_
#define _NGX_REDIS_REFUSAL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


#define NGX_REDIS_REFUSAL_CALM    1000   /* ms, nothing refused: it is over */
#define NGX_REDIS_REFUSAL_PAUSE   10000  /* ms, between two that are told */
#define NGX_REDIS_REFUSAL_SELDOM  30000  /* ms, from one to another outage */


/* zeroed but for "shared", it is ready */

typedef struct {
    ngx_atomic_t             *shared;    /* ms, the last one of all workers, by
                                            a clock they share; 0: none.  NULL:
                                            nobody is to know */
    ngx_msec_t                since;     /* the first one */
    ngx_msec_t                last;
    ngx_msec_t                logged;    /* a beginning was */
    ngx_msec_t                calm;      /* ms, or NGX_REDIS_REFUSAL_CALM */
    unsigned                  refused:1;
    unsigned                  told:1;    /* of this one */
    unsigned                  before:1;  /* "logged" is set */
    unsigned                  well:1;    /* something was not, since "last" */
} ngx_redis_refusal_t;


/* Something was refused: NGX_OK if that is to be logged, or NGX_DECLINED. */

ngx_int_t ngx_redis_refusal_begin(ngx_redis_refusal_t *refusal,
    ngx_msec_t now);

/* Something was not: NGX_OK if the end is to be logged, or NGX_DECLINED. */

ngx_int_t ngx_redis_refusal_end(ngx_redis_refusal_t *refusal, ngx_msec_t now);

/* Whether any worker has met one lately, for who asks how things are. */

ngx_uint_t ngx_redis_refusal_holds(const ngx_redis_refusal_t *refusal,
    ngx_msec_t now);


#endif /* _NGX_REDIS_REFUSAL_H_INCLUDED_ */
