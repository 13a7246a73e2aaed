# Scans on top of a multi-trait fit: each marker has one effect a trait, all tested together.

#' @rdname marker_scan
#' @export
marker_scan.pp_kernel_traits <- function(fit, markers, sets = NULL, block_size = NULL,
                                         progress = FALSE, ...) {
  check_scan_dots(...)
  progress <- check_flag(progress, "progress")
  source <- marker_source(markers, fit$names, fit$n)
  block_size <- check_block_size(block_size, fit$n)
  plan <- if (is.null(sets)) {
    marker_plan(source$size, block_size)
  } else {
    set_plan(scan_sets(sets, source), block_size)
  }
  details <- open_details(source, !is.null(plan$sets))
  on.exit(details$close())
  bar <- if (progress) cli::cli_progress_bar("Scanning", total = plan$blocks)
  overview <- new_overview()
  tables <- markers_of <- vector("list", plan$blocks)
  null <- NULL
  for (i in seq_len(plan$blocks)) {
    block <- plan$block(i)
    read <- scan_read(reader_of(source), as.numeric(block$columns) - 1, fit$n)
    read <- check_scanned(read, block, source)
    ends <- if (is.null(block$sets)) seq_along(block$columns) else cumsum(block$sets)
    found <- scan_traits(fit, read$values, ends)
    if (is.null(null)) null <- found[c("null_logLik", "null_scale")]
    read$status[read$status == 0L & is.na(found$effects[, 1L])] <- scan_status[["collinear"]]
    markers_of[[i]] <- traits_table(found, read, details$read(block$columns), block, plan$sets)
    tables[[i]] <- if (is.null(block$sets)) {
      cbind(markers_of[[i]][1L], traits_tests(found), markers_of[[i]][-1L])
    } else {
      list2DF(c(
        list(set = plan$sets[block$which], size = as.integer(block$sets)), traits_tests(found)
      ))
    }
    overview <- add_overview(overview, tables[[i]], read, list(exact = integer()), FALSE)
    if (progress) cli::cli_progress_update(id = bar)
  }
  if (progress) cli::cli_progress_done(id = bar)
  output <- list(
    table = function() bind_tables(tables),
    markers = function() if (!is.null(sets)) bind_tables(markers_of),
    overview = function() overview
  )
  null <- list(
    model = "traits", REML = FALSE, refit = TRUE, n = fit$n, p = ncol(fit$X),
    traits = ncol(fit$y), scale = null$null_scale, logLik = null$null_logLik
  )
  new_scan(output, null, match.call(), NULL)
}

traits_tests <- function(found) {
  list2DF(list(
    df = as.integer(found$df), statistic = found$statistic, p = found$p, logLik = found$logLik
  ))
}

# Effects and standard errors, a column a trait.
traits_table <- function(found, read, details, block, sets) {
  traits <- colnames(found$effects)
  if (is.null(traits)) traits <- seq_len(ncol(found$effects))
  columns <- function(x, label) {
    stats::setNames(lapply(seq_along(traits), function(k) unname(x[, k])),
                    paste(label, traits, sep = "_"))
  }
  list2DF(c(
    if (!is.null(block$sets)) list(set = rep(sets[block$which], block$sets)),
    list(marker = details$marker), columns(found$effects, "effect"), columns(found$se, "se"),
    list(missing = read$missing, frequency = read$frequency),
    details[setdiff(names(details), "marker")]
  ))
}
