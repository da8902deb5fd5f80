
/*
 * Copyright (C) The Optcache authors
 */


#ifndef _NGX_HTTP_API_VERSION_H_INCLUDED_
#define _NGX_HTTP_API_VERSION_H_INCLUDED_


/* of both modules; "make dist" and "make deb" read it here */

#define NGX_HTTP_API_VERSION  "0.1.0"


#endif /* _NGX_HTTP_API_VERSION_H_INCLUDED_ */
