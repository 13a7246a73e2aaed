# make bench: lmm(), glmm() beside lme4 and glmmTMB, from formula and data to the fit, in one run.
#   Rscript bench/run.R [--cases a,b] [--engines a,b] [--quick] [--limit SECONDS] [--budget SECONDS]
# --quick     only the cases that take seconds with every program
# --limit     a program that has not fitted a case by then is stopped (300); lme4 gets four times it
# --budget    seconds for repeating a fit, of which the best counts (5)
# Writes bench/results.csv and bench/results.md. Cases that are not measured keep their old rows.

source("bench/cases.R")
source("bench/engines.R")
source("bench/report.R")

main <- function(arguments) {
  options <- parse_options(arguments)
  # One thread for every program and for the BLAS
  Sys.setenv(OPENBLAS_NUM_THREADS = "1", OMP_NUM_THREADS = "1", MKL_NUM_THREADS = "1")
  machine <- describe_machine(options$engines)
  cat(machine_lines(machine), sep = "\n")
  results <- list()
  for (case in options$cases) {
    for (engine in options$engines) {
      if (!measures(engine, case)) next
      row <- measure_in_child(case, engine, options)
      cat(sprintf("%-19s %-12s %s\n", case, engine, row_summary(row)))
      results[[length(results) + 1]] <- row
    }
  }
  results <- cbind(do.call(rbind, results), as.data.frame(machine))
  all <- merge_results(results, "bench/results.csv")
  utils::write.csv(all, "bench/results.csv", row.names = FALSE)
  writeLines(report(all), "bench/results.md")
  cat("", report(all), "", "Written: bench/results.md and bench/results.csv", sep = "\n")
}

parse_options <- function(arguments) {
  value <- function(name, default) {
    at <- match(paste0("--", name), arguments)
    if (is.na(at)) default else arguments[at + 1]
  }
  quick <- "--quick" %in% arguments
  cases <- value("cases", toString(if (quick) quick_cases else names(bench_cases())))
  engines <- value("engines", toString(names(bench_engines())))
  split <- function(text) strsplit(text, "[, ]+")[[1]]
  options <- list(
    cases = split(cases), engines = split(engines),
    limit = as.numeric(value("limit", "300")),
    budget = as.numeric(value("budget", if (quick) "1" else "5"))
  )
  unknown <- c(
    setdiff(options$cases, names(bench_cases())), setdiff(options$engines, names(bench_engines()))
  )
  if (length(unknown) > 0) stop("unknown case or program: ", toString(unknown), call. = FALSE)
  installed <- function(engine) nzchar(system.file(package = bench_engines()[[engine]]$package))
  options$engines <- Filter(installed, options$engines)
  options
}

measures <- function(engine, case) {
  only <- bench_engines()[[engine]]$only
  is.null(only) || case %in% names(generalised_cases())
}

measure_in_child <- function(case, engine, options) {
  empty <- data.frame(
    case = case, engine = engine, status = "", rows = NA, seconds = NA, first = NA, runs = NA,
    evaluations = NA, criterion = NA, peak_mb = NA, fit_mb = NA
  )
  known <- bench_cases()[[case]]
  if (!is.null(known$responses) && is.null(bench_engines()[[engine]]$refit)) {
    return(replace(empty, "status", "no refit"))
  }
  file <- tempfile(fileext = ".rds")
  errors <- tempfile()
  limit <- options$limit * bench_engines()[[engine]]$patience
  code <- suppressWarnings(system2(
    file.path(R.home("bin"), "Rscript"),
    c("bench/measure.R", case, engine, options$budget, shQuote(file)),
    stdout = errors, stderr = errors, timeout = limit
  ))
  if (code == 124) return(replace(empty, "status", sprintf("more than %g s", limit)))
  if (code != 0 || !file.exists(file)) {
    message(paste(utils::tail(readLines(errors), 5), collapse = "\n"))
    return(replace(empty, "status", "failed"))
  }
  measured <- readRDS(file)
  empty[names(measured)] <- measured
  replace(empty, "status", "ok")
}

row_summary <- function(row) {
  if (row$status != "ok") return(row$status)
  sprintf(
    "%10.4f s  %5.0f evaluations  criterion %.6f  %5.0f MB (%.0f MB for the fit)",
    row$seconds, row$evaluations, row$criterion, row$peak_mb, row$fit_mb
  )
}

describe_machine <- function(engines) {
  cpu <- if (file.exists("/proc/cpuinfo")) {
    sub(".*: *", "", grep("^model name", readLines("/proc/cpuinfo"), value = TRUE)[1])
  } else {
    Sys.info()[["machine"]]
  }
  packages <- unique(vapply(engines, function(engine) bench_engines()[[engine]]$package, ""))
  versions <- vapply(packages, function(package) format(utils::packageVersion(package)), "")
  list(
    date = format(Sys.Date()), machine = cpu,
    r = paste(R.version$major, R.version$minor, sep = "."), blas = blas_name(),
    versions = paste(packages, versions, collapse = ", ")
  )
}

# The file's name says which BLAS it is; its folder may not land in a result
blas_name <- function() {
  library <- normalizePath(extSoftVersion()[["BLAS"]], mustWork = FALSE)
  if (!nzchar(library)) return("R's own")
  known <- c(openblas = "OpenBLAS", atlas = "ATLAS", mkl = "MKL", blis = "BLIS")
  for (name in names(known)) if (grepl(name, library)) return(known[[name]])
  paste("reference BLAS", sub(".*so\\.", "", basename(library)))
}

machine_lines <- function(machine) {
  sprintf(
    "%s, one thread, R %s, %s; %s; %s", machine$machine, machine$r, machine$blas, machine$versions,
    machine$date
  )
}

merge_results <- function(new, file) {
  if (!file.exists(file)) return(new)
  old <- utils::read.csv(file)
  key <- function(rows) paste(rows$case, rows$engine)
  all <- rbind(old[!key(old) %in% key(new), names(new)], new)
  all[order(match(all$case, names(bench_cases())), match(all$engine, names(bench_engines()))), ]
}

main(commandArgs(trailingOnly = TRUE))
