#' @keywords internal
#' @useDynLib partialpool, .registration = TRUE
#' @importFrom Rcpp evalCpp
"_PACKAGE"

.onUnload <- function(libpath) library.dynam.unload("partialpool", libpath)
