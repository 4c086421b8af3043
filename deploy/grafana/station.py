"""The Station page: does it run, and what does the sky show? Everything comes from Prometheus."""

from __future__ import annotations

from deploy.grafana.looks import BARS, COLOURS, LIMIT, LINE, SERIES, SKY, STATES, TABLE, TIMELINE, stat
from deploy.grafana.model import BLUE, GREEN, RED, YELLOW, Annotation, Dashboard, Panel, Query, Step, Variable

DAEMON = 'job="auroramon", instance=~"$instance"'
CAMERA = f'{DAEMON}, camera=~"$camera"'
BUCKETS = f"sum by (le) (rate(auroramon_file_latency_seconds_bucket{{{CAMERA}}}[$__rate_interval]))"
STAGE = "auroramon_stage_duration_seconds"
FAILURES = {"quarantined": RED, "crashed": "#A352CC", "partial": YELLOW, "not_ready": "#8AB8FF"}

NOW = (
    Panel(
        "stat", "Daemon", "Whether it answered Prometheus just now. Where not, the panels below are empty or old.",
        [Query(f"up{{{DAEMON}}}", "{{instance}}", instant=True)], 3, 5, no_value="Prometheus does not ask it",
        names={"1": ("runs", GREEN), "0": ("no answer", RED)}, colour_by="thresholds", options=stat(True),
    ),
    Panel(
        "stat", "Sky now", "The label of most frames of the last five minutes, for each camera.",
        [Query(f"camera:auroramon_sky_code:5m{{{CAMERA}}}", "{{camera}}", instant=True)], 5, 5,
        no_value="no frame for five minutes", names=SKY, colour_by="thresholds", options=stat(True, name_too=True),
    ),
    Panel(
        "stat", "Aurora in the last hour",
        "Aurora among the frames in which the sky could be seen: aurora / (aurora + clear).",
        [Query(f"camera:auroramon_aurora_of_clear_sky:ratio1h{{{CAMERA}}}", "{{camera}}", instant=True)], 5, 5,
        unit="percentunit", decimals=0, no_value="no clear sky", colour_by="thresholds",
        steps=(Step(None, BLUE), Step(0.2, GREEN)), options=stat(name_too=True),
    ),
    Panel(
        "stat", "Silence in the dark",
        "Dark time since the newest labelled exposure began. An alert comes after 15 minutes, or five frames.",
        [Query(f"auroramon_camera_dark_silence_seconds{{{CAMERA}}}", "{{camera}}", instant=True)], 4, 5,
        unit="s", decimals=0, no_value="no position set, or no answer", colour_by="thresholds",
        steps=(Step(None, GREEN), Step(300, YELLOW), Step(900, RED)), options=stat(name_too=True),
    ),
    Panel(
        "stat", "Files that wait", "Files without labels yet, and files in quarantine (`auroramon quarantine list`).",
        [
            Query(f"sum(auroramon_backlog_files{{{DAEMON}}})", "waiting", instant=True),
            Query(f"sum(auroramon_quarantine_files{{{DAEMON}}})", "in quarantine", instant=True),
        ],
        4, 5, decimals=0, colour_by="thresholds", steps=(Step(None, GREEN), Step(100, YELLOW), Step(1000, RED)),
        options=stat(name_too=True),
    ),
    Panel(
        "stat", "Alerts", "Alerts that fire now. Which they are stands below; what to do, in docs/monitoring.md.",
        [
            Query('count(ALERTS{alertstate="firing", alertname=~"Auroramon.+"}) or vector(0)', "alerts", instant=True),
        ],
        3, 5, decimals=0, colour_by="thresholds", steps=(Step(None, GREEN), Step(1, RED)), options=stat(True),
    ),
)  # fmt: skip

SKY_ROWS = (
    (
        Panel(
            "state-timeline", "The sky of the night",
            "The label of most frames of each five minutes. A gap: no frame came.",
            [Query(f"camera:auroramon_sky_code:5m{{{CAMERA}}}", "{{camera}}")], 24, 7,
            no_value="no frame", names=SKY, colour_by="thresholds", custom=STATES, options=TIMELINE,
        ),
    ),
    (
        Panel(
            "timeseries", "Frames by label", "Frames labelled in each interval, of all chosen cameras.",
            [
                Query(
                    f'sum(increase(auroramon_frames_classified_total{{{CAMERA}, label="{label}"}}[$__interval]))',
                    label, interval="5m",
                )
                for label in COLOURS if label != "other"
            ],
            16, 9, minimum=0, decimals=0, no_value="no frame", custom=BARS, options=SERIES,
            colours={label: colour for label, colour in COLOURS.items() if label != "other"},
        ),
        Panel(
            "timeseries", "Aurora of clear sky", "Aurora / (aurora + clear) in the hour before each moment.",
            [Query(f"camera:auroramon_aurora_of_clear_sky:ratio1h{{{CAMERA}}}", "{{camera}}")], 8, 9,
            unit="percentunit", minimum=0, maximum=1, decimals=0, no_value="no clear sky", custom=LINE, options=SERIES,
        ),
    ),
)  # fmt: skip

FLOW = (
    Panel(
        "timeseries", "Frames of those expected",
        "Frames of the last hour, of those that its darkness and the configured cadence should have brought.",
        [Query(f"camera:auroramon_frames_of_expected:ratio1h{{{CAMERA}}}", "{{camera}}")], 8, 8,
        unit="percentunit", minimum=0, decimals=0, no_value="no cadence set, or daylight", custom={**LINE, **LIMIT},
        steps=(Step(None, RED), Step(0.5, GREEN)), options=SERIES,
    ),
    Panel(
        "timeseries", "From file to label", "From the arrival of a complete file to its committed labels.",
        [
            Query(f"histogram_quantile(0.5, {BUCKETS})", "half of the files"),
            Query(f"histogram_quantile(0.9, {BUCKETS})", "nine of ten"),
            Query(f"histogram_quantile(0.99, {BUCKETS})", "99 of 100"),
        ],
        8, 8, unit="s", minimum=0, no_value="no file came", options=SERIES,
        custom={**LINE, "fillOpacity": 0, "scaleDistribution": {"log": 10, "type": "log"}},
        colours={"half of the files": BLUE, "nine of ten": YELLOW, "99 of 100": RED},
    ),
    Panel(
        "timeseries", "Sun", "Altitude of the Sun; frames are expected while it is low enough.",
        [Query(f"auroramon_camera_sun_altitude_degrees{{{CAMERA}}}", "{{camera}}")], 8, 8,
        unit="degree", decimals=1, no_value="no position set", custom={**LINE, "fillOpacity": 0, **LIMIT},
        steps=(Step(None, BLUE), Step(0, YELLOW)), options=SERIES,
    ),
)  # fmt: skip

FAULTS = (
    (
        Panel(
            "timeseries", "Failures",
            "Files that gave fewer labels than frames, by reason. `not_ready` is tried again and is no loss.",
            [
                Query(
                    f'sum(increase(auroramon_file_failures_total{{{CAMERA}, reason="{reason}"}}[$__interval]))',
                    reason, interval="5m",
                )
                for reason in FAILURES
            ],
            8, 8, minimum=0, decimals=0, no_value="none", custom=BARS, options=SERIES, colours=FAILURES,
        ),
        Panel(
            "timeseries", "Waiting and set aside", "Files without labels yet, and files in quarantine.",
            [
                Query(f"sum(auroramon_backlog_files{{{DAEMON}}})", "waiting"),
                Query(f"sum(auroramon_quarantine_files{{{DAEMON}}})", "in quarantine"),
            ],
            8, 8, minimum=0, decimals=0, custom={**LINE, "fillOpacity": 0}, options=SERIES,
            colours={"waiting": BLUE, "in quarantine": RED},
        ),
        Panel(
            "timeseries", "Where the time goes", "Mean time of a file in each stage.",
            [
                Query(
                    f"sum by (stage) (rate({STAGE}_sum{{{DAEMON}}}[$__rate_interval]))"
                    f" / (sum by (stage) (rate({STAGE}_count{{{DAEMON}}}[$__rate_interval])) > 0)",
                    "{{stage}}",
                )
            ],
            8, 8, unit="s", minimum=0, no_value="no file came", custom={**LINE, "fillOpacity": 0}, options=SERIES,
        ),
    ),
    (
        Panel(
            "state-timeline", "Watched folders", "Whether each camera's folder is there and watched, and how.",
            [Query(f"auroramon_watcher_up{{{CAMERA}}}", "{{camera}} ({{mode}})")], 12, 6,
            names={"1": ("watched", GREEN), "0": ("away", RED)}, colour_by="thresholds", custom=STATES,
            options={**TIMELINE, "showValue": "never"},
        ),
        Panel(
            "state-timeline", "Alerts that fired", "Which alerts fired when; aurora is one of them.",
            [
                Query(
                    'max by (alertname, camera) (ALERTS{alertstate="firing", alertname=~"Auroramon.+"})'
                    ' or 2 * max by (alertname, camera) (ALERTS{alertstate="firing", alertname="AuroraOverhead"})',
                    "{{alertname}} {{camera}}",
                )
            ],
            12, 6, no_value="none", names={"1": ("fault", RED), "2": ("aurora", COLOURS["arc"])},
            colour_by="thresholds", custom=STATES, options={**TIMELINE, "showValue": "never"},
        ),
    ),
)  # fmt: skip

MACHINE = (
    (
        Panel(
            "table", "Model and backend", "What labels the frames, and whether it is what was asked for.",
            [
                Query(
                    f"auroramon_backend_fallback{{{DAEMON}}}"
                    " * on (job, instance) group_left (backend, precision, device) auroramon_backend_info"
                    " * on (job, instance) group_left (name, digest) auroramon_model_info"
                    " * on (job, instance) group_left (version) auroramon_build_info",
                    instant=True, table=True,
                )
            ],
            24, 4, names={"0": ("as asked", GREEN), "1": ("fell back to the CPU", RED)}, options=TABLE,
            custom={"align": "auto", "cellOptions": {"type": "color-text"}}, colour_by="fixed",
            steps=(Step(None, "#CCCCDC"),), hidden=("Time", "job", "__name__"),
            renamed={"Value": "backend is", "name": "model"},
        ),
    ),
    (
        Panel(
            "timeseries", "Refused by the database", "Transactions that failed; their labels waited in memory.",
            [
                Query(
                    f"sum by (instance) (increase(auroramon_database_failures_total{{{DAEMON}}}[$__interval]))",
                    "{{instance}}", interval="5m",
                )
            ],
            8, 7, minimum=0, decimals=0, no_value="none", custom=BARS, options=SERIES, colour_by="fixed",
            steps=(Step(None, RED),),
        ),
        Panel(
            "timeseries", "Free disk", "Room on the disks of the database and of folders on local disks.",
            [Query(f"auroramon_disk_free_bytes{{{DAEMON}}}", "{{folder}}")], 8, 7,
            unit="bytes", minimum=0, custom={**LINE, "fillOpacity": 0, **LIMIT},
            steps=(Step(None, RED), Step(1e9, GREEN)), options=SERIES,
        ),
        Panel(
            "timeseries", "Memory of the daemon", "Resident memory; it should stay level.",
            [Query(f"process_resident_memory_bytes{{{DAEMON}}}", "{{instance}}")], 8, 7,
            unit="bytes", minimum=0, custom=LINE, options=SERIES,
        ),
    ),
)  # fmt: skip

STATION = Dashboard(
    uid="auroramon-station",
    title="Auroramon: station",
    description="What the sky shows now and showed this night, and whether the station does its work.",
    source="prometheus",
    rows=(NOW, *SKY_ROWS, FLOW, *FAULTS, *MACHINE),
    variables=(
        Variable("instance", "Station", 'label_values(up{job="auroramon"}, instance)'),
        Variable("camera", "Camera", f"label_values(auroramon_frames_classified_total{{{DAEMON}}}, camera)"),
    ),
    since="now-18h",
    refresh="30s",
    annotations=(
        Annotation(
            "Aurora", f"camera:auroramon_aurora_of_frames:ratio10m{{{CAMERA}}} >= 0.5", COLOURS["arc"],
            "Aurora over {{camera}}",
        ),
        Annotation(
            "Starts of the daemon", f"process_start_time_seconds{{{DAEMON}}} * 1000", YELLOW, "started: {{instance}}",
            time_is_value=True,
        ),
    ),
)  # fmt: skip
