var VEGA_DEBUG = {vega_version: "6", vegalite_version: "6.4.1", vegaembed_version: "7"};
