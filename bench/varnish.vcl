# Varnish, with the credentials in its key.

vcl 4.1;

backend origin {
    .path = "@DIR@/o.sock";
}

sub vcl_recv {
    set req.url = regsub(req.url, "^/varnish/", "/shared/");
    return (hash);
}

sub vcl_hash {
    hash_data(req.http.Authorization);
}

sub vcl_deliver {
    if (obj.hits > 0) {
        set resp.http.X-Cache = "HIT";
    }
}
