# nginx's auto/make takes this in when it has written the Makefile.  The page
# of the dashboard is made an array when it is built, and again when it has
# changed.

optcache_page=$ngx_addon_dir/src/dashboard

cat << END                                                    >> $NGX_MAKEFILE

$NGX_OBJS/addon/dashboard/ngx_http_optcache_dashboard.o: \\
	$NGX_OBJS/ngx_http_optcache_dashboard_page.h

$NGX_OBJS/ngx_http_optcache_dashboard_page.h: \\
	$(echo $optcache_page/*.html $optcache_page/*.css \
	    $optcache_page/*.js $optcache_page/page.sh)
	sh $optcache_page/page.sh > \$@.new
	mv \$@.new \$@
END
