//! What a browser is shown at `/`: three files, and no request to any other
//! host.

/// The page, its style and its script.
pub(super) struct Page {
    pub html: String,
    pub css: &'static str,
    pub js: &'static str,
}

/// The page; `metrics` is the path of the metrics.
pub(super) fn page(metrics: &str) -> Page {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>lpwatch</title>\n\
         <link rel=\"stylesheet\" href=\"/page.css\">\n<h1>lpwatch</h1>\n\
         <p>Watches Linux live patches roll out.</p>\n<ul>\n\
         <li><a href=\"{metrics}\">Metrics</a> for Prometheus</li>\n\
         <li><a href=\"/api/v1/status\">Status</a>: all that is known, as JSON</li>\n\
         <li><a href=\"/api/v1/tasks\">Tasks</a> that are left, and why</li>\n\
         <li><a href=\"/api/v1/calls\">Calls</a> of old and new code</li>\n\
         <li><a href=\"/api/v1/transitions\">Transitions</a> that ended</li>\n\
         <li><a href=\"/-/healthy\">Healthy</a>, <a href=\"/-/ready\">ready</a></li>\n</ul>\n</html>\n"
    );
    Page {
        html,
        css: ":root { color-scheme: light dark; font-family: system-ui, sans-serif; }\n",
        js: "",
    }
}
